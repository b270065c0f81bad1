#include "sync/platform.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "haproxy/files.h"
#include "sync/custom.h"
#include "sync/hold.h"

#define LOOK_MS 1000
#define PEM_MAX (128 * 1024)

struct platform {
	struct event_base *base;
	const struct conf *conf;
	struct hold *hold;
	struct event *timer;
	char path[FILES_PATH_MAX]; /* of its PEM; "": there is none */
	struct custom current;     /* chain NULL: none */
	struct stat seen;          /* of the file as it was read last */
	bool missing;              /* which has been logged */
};

static void look(void *);

void
platform_wildcard(const struct conf *conf, char name[static DOMAIN_NAME_MAX])
{
	name[0] = '\0';
	if (conf->platform_app[0] != '\0')
		snprintf(name, DOMAIN_NAME_MAX, "*.%s", conf->platform_domain);
}

/* The operator's file, or what this node holds of our own. */
static void
source(const struct conf *conf, const struct files *files,
    char path[static FILES_PATH_MAX])
{
	char name[DOMAIN_NAME_MAX];

	platform_wildcard(conf, name);
	if (name[0] != '\0')
		files_path(files, name, path);
	else
		snprintf(
		    path, FILES_PATH_MAX, "%s", conf->haproxy.default_cert);
}

/* Our own is not there before it is issued. */
static bool
is_due(const struct conf *conf, const char *path)
{
	return path[0] != '\0' &&
	       (conf->platform_app[0] == '\0' || access(path, F_OK) == 0);
}

static int
read_file(const char *path, struct buf *out, struct err *e)
{
	FILE *in = fopen(path, "re");
	char bytes[4096];
	size_t n;
	int rc = 0;

	if (in == NULL)
		return err_set(e, ERR_CONFIG, "%s", strerror(errno));
	while (rc == 0 && (n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		rc = buf_put(out, bytes, n);
	if (rc == -1)
		err_set(e, ERR_CONFIG, "has more than %d bytes", PEM_MAX);
	else if (ferror(in))
		rc = err_set(e, ERR_CONFIG, "cannot be read");
	mem_wipe(bytes, sizeof(bytes));
	fclose(in);
	return rc;
}

static void
note_fault(void *arg, const char *field, const char *sentence)
{
	struct err *e = arg;

	if (e->text[0] == '\0')
		err_set(e, ERR_CONFIG, "%s %s",
		    strcmp(field, "tlskey") == 0 ? "its key" : "it", sentence);
}

/* One PEM file with the chain and its key, checked as an upload is. */
static int
read_platform(
    const struct conf *conf, const char *path, struct custom *c, struct err *e)
{
	struct custom_rules rules = { .bufsize = conf->haproxy.bufsize,
		.now_ms = loop_wall_ms() };
	struct buf pem;
	int rc;

	*c = (struct custom){ 0 };
	*e = (struct err){ 0 };
	buf_init(&pem, PEM_MAX);
	rc = read_file(path, &pem, e);
	if (rc == 0)
		rc = custom_read(c, pem.p, pem.p, &rules, note_fault, e);
	buf_wipe(&pem);
	return rc;
}

void
platform_prime(const struct conf *conf, struct files *files)
{
	char path[FILES_PATH_MAX], *pem;
	struct custom c;
	struct err e;

	source(conf, files, path);
	if (!is_due(conf, path))
		return;
	if (read_platform(conf, path, &c, &e) == 0) {
		pem = cert_pem(&c.cert, c.key_pem);
		if (files_put_default(files, pem, &e) == -1)
			log_error("default certificate: %s", e.text);
		mem_wipe_free(pem);
	} else {
		log_error("default_cert=%s: %s", path, e.text);
	}
	custom_clear(&c);
}

/* --- while HAProxy runs ----------------------------------------------------------- */

static void
take(struct platform *p)
{
	struct custom c;
	struct err e;

	if (read_platform(p->conf, p->path, &c, &e) == -1) {
		log_error("default_cert=%s not taken: %s", p->path, e.text);
		custom_clear(&c);
		return;
	}
	log_info("default_cert=%s subject=\"%s\" sha1=%s", p->path, c.subject,
	    c.cert.sha1);
	custom_clear(&p->current);
	p->current = c;
	hold_default(p->hold, &p->current.cert, p->current.key_pem);
}

static bool
changed(const struct stat *a, const struct stat *b)
{
	return a->st_ino != b->st_ino || a->st_dev != b->st_dev ||
	       a->st_size != b->st_size ||
	       a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
	       a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static void
look(void *arg)
{
	struct platform *p = arg;
	struct stat st;

	loop_after(p->base, &p->timer, LOOK_MS, look, p);
	if (!is_due(p->conf, p->path))
		return;
	if (stat(p->path, &st) == -1) {
		if (!p->missing)
			log_error(
			    "default_cert=%s: %s", p->path, strerror(errno));
		p->missing = true;
	} else if (p->missing || changed(&st, &p->seen)) {
		p->missing = false;
		p->seen = st;
		take(p);
	}
}

struct platform *
platform_new(struct event_base *base, const struct conf *conf,
    const struct files *files, struct hold *hold)
{
	struct platform *p = xcalloc(1, sizeof(*p));

	p->base = base;
	p->conf = conf;
	p->hold = hold;
	source(conf, files, p->path);
	if (p->path[0] != '\0')
		look(p);
	return p;
}

void
platform_free(struct platform *p)
{
	if (p == NULL)
		return;
	loop_timer_free(&p->timer);
	custom_clear(&p->current);
	free(p);
}

bool
platform_covers(const struct platform *p, const char *name, int64_t now_ms)
{
	const char *domain = p->conf->platform_domain;
	const char *dot = strchr(name, '.');

	if (domain[0] == '\0' || dot == NULL || domain_wildcard(name))
		return false;
	return (strcmp(dot + 1, domain) == 0 || strcmp(name, domain) == 0) &&
	       p->current.cert.chain != NULL &&
	       now_ms < p->current.cert.not_after &&
	       cert_covers(&p->current.cert, name);
}

int64_t
platform_not_after(const struct platform *p)
{
	return p->current.cert.not_after;
}
