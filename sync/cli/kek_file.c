/* The ring's file, as root finds and changes it: the credential or our own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/secret.h"
#include "common/str.h"
#include "sync/cli/kek.h"

#define RING_MAX (64 * 1024)
#define CREDENTIAL "/etc/credstore/certfleet.kek"

char *
kek_path(const struct conf *conf)
{
	if (access(conf->kek_file, F_OK) == -1 && access(CREDENTIAL, F_OK) == 0)
		return xstrdup(CREDENTIAL);
	return xstrdup(conf->kek_file);
}

int
kek_digest(const char *path, char out[static KEK_DIGEST_SIZE], struct err *e)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;
	struct buf ring;

	buf_init(&ring, RING_MAX);
	if (secret_file(path, false, &ring, e) == -1) {
		buf_wipe(&ring);
		return -1;
	}
	if (EVP_Digest(ring.p, ring.len, digest, &len, EVP_sha256(), NULL) != 1)
		abort();
	buf_wipe(&ring);
	for (unsigned int i = 0; i < len; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

static char *
marker(const struct conf *conf)
{
	return xasprintf("%s/kek.backed-up", conf->state_dir);
}

void
kek_backed_up(const struct conf *conf, char out[static KEK_DIGEST_SIZE])
{
	char *path = marker(conf);
	FILE *in = fopen(path, "re");
	size_t n = 0;

	free(path);
	if (in != NULL) {
		n = fread(out, 1, KEK_DIGEST_SIZE - 1, in);
		fclose(in);
	}
	out[n] = '\0';
	if (!str_only(out, n, "0123456789abcdef"))
		out[0] = '\0';
}

int
kek_say_backed_up(const struct conf *conf, const char *digest, struct err *e)
{
	char *path = marker(conf);
	int fd = open(
	    path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = 0;

	/* One of before may be open to others. */
	if (fd == -1 || fchmod(fd, 0600) == -1 ||
	    dprintf(fd, "%s\n", digest) < 0 || fsync(fd) == -1)
		rc = err_set(e, ERR_CONFIG, "cannot write %s: %s", path,
		    strerror(errno));
	if (fd != -1)
		close(fd);
	free(path);
	return rc;
}
