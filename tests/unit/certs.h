/* Certificates made on the spot, and a HAProxy to push them into. */
#ifndef TESTS_UNIT_CERTS_H
#define TESTS_UNIT_CERTS_H

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/mem.h"
#include "common/str.h"

struct certs_pair {
	EVP_PKEY *key;
	X509 *cert;
};

static inline struct certs_pair
certs_pair(const char *name, const struct certs_pair *issuer)
{
	static long serial = 1;
	struct certs_pair c = { EVP_EC_gen("P-256"), X509_new() };
	char *san = xasprintf("DNS:%s", name);
	X509_EXTENSION *ext;

	X509_set_version(c.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c.cert), 90L * 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c.cert), "CN",
	    MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c.cert,
	    X509_get_subject_name(issuer != NULL ? issuer->cert : c.cert));
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	X509_add_ext(c.cert, ext, -1);
	X509_EXTENSION_free(ext);
	X509_set_pubkey(c.cert, c.key);
	X509_sign(c.cert, issuer != NULL ? issuer->key : c.key, EVP_sha256());
	free(san);
	return c;
}

static inline void
certs_pair_clear(struct certs_pair *c)
{
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
}

/* Key, leaf and intermediate as one PEM; sha1 is the leaf's. */
static inline char *
certs_pem(const char *name, char sha1[static 41])
{
	static struct certs_pair ca;
	struct certs_pair c;
	uint8_t digest[EVP_MAX_MD_SIZE];
	BIO *bio = BIO_new(BIO_s_mem());
	char *p, *pem;
	long n;

	if (ca.key == NULL)
		ca = certs_pair("intermediate.test", NULL);
	c = certs_pair(name, &ca);
	PEM_write_bio_PrivateKey(bio, c.key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_X509(bio, c.cert);
	PEM_write_bio_X509(bio, ca.cert);
	n = BIO_get_mem_data(bio, &p);
	pem = xmemdup0(p, (size_t)n);
	BIO_free(bio);
	X509_digest(c.cert, EVP_sha1(), digest, NULL);
	str_hex(sha1, digest, 20);
	certs_pair_clear(&c);
	return pem;
}

static inline void
certs_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

/* A port that nobody listens at, for a moment. */
static inline int
certs_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&in, len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) == -1)
		abort();
	close(fd);
	return ntohs(in.sin_port);
}

/* dir/haproxy.cfg, dir/default.pem and an empty dir/crt-list.txt. */
static inline void
certs_haproxy_config(const char *dir, int port, int bufsize)
{
	char *path = xasprintf("%s/haproxy.cfg", dir), sha1[41], *text;

	text = xasprintf("global\n"
			 "    stats socket %s/admin.sock mode 600 level admin\n"
			 "    tune.bufsize %d\n"
			 "    nbthread 2\n"
			 "defaults\n"
			 "    mode http\n"
			 "    timeout connect 1s\n"
			 "    timeout client 10s\n"
			 "    timeout server 10s\n"
			 "frontend tls\n"
			 "    bind 127.0.0.1:%d ssl crt %s/default.pem "
			 "crt-list %s/crt-list.txt\n"
			 "    http-request return status 200\n",
	    dir, bufsize, port, dir, dir);
	certs_write(path, text);
	free(text);
	free(path);
	path = xasprintf("%s/default.pem", dir);
	text = certs_pem("default.test", sha1);
	certs_write(path, text);
	free(text);
	free(path);
	path = xasprintf("%s/crt-list.txt", dir);
	certs_write(path, "");
	free(path);
}

/* Start HAProxy; old > 0: it takes over from that process. */
static inline pid_t
certs_haproxy_start(const char *dir, pid_t old)
{
	const char *program = getenv("HAPROXY");
	char *config = xasprintf("%s/haproxy.cfg", dir), number[16];
	const char *argv[8] = { program != NULL ? program : "haproxy", "-db",
		"-f", config };
	int null;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", (int)old);
	if (old > 0) {
		argv[4] = "-sf";
		argv[5] = number;
	}
	pid = fork();
	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		if (getenv("HAPROXY_LOUD") == NULL)
			dup2(null, 2);
		dup2(null, 1);
		union {
			const char **in;
			char **out;
		} args = { argv };
		execvp(argv[0], args.out);
		/* Debian keeps it where not every user looks. */
		execv("/usr/sbin/haproxy", args.out);
		_exit(127);
	}
	free(config);
	return pid;
}

/* Wait until it accepts on its socket; false when it never does. */
static inline int
certs_haproxy_ready(const char *dir)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct timespec pause = { 0, 5 * 1000 * 1000 };
	int fd, rc, i;

	snprintf(un.sun_path, sizeof(un.sun_path), "%.80s/admin.sock", dir);
	for (i = 0; i < 24000; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		rc = connect(fd, (struct sockaddr *)&un, sizeof(un));
		close(fd);
		if (rc == 0)
			return 1;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static inline void
certs_haproxy_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
