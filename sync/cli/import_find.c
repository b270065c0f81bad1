#include "sync/cli/import_find.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "common/mem.h"
#include "common/str.h"

#define FINDS_MAX 100000

typedef void entry_fn(struct finds *, const char *dir, const char *name);

void
import_clear(struct finds *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->item[i].cert);
		free(f->item[i].key);
		free(f->item[i].issuer);
		free(f->item[i].ca);
	}
	free(f->item);
	*f = (struct finds){ 0 };
}

/* --- files ------------------------------------------------------------------------- */

static bool
is(const char *path, mode_t type)
{
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

/* DIR/NAME and what comes behind, when it is of that type; else NULL. */
static char *
there(const char *dir, const char *name, const char *more, mode_t type)
{
	char *path = xasprintf("%s/%s%s", dir, name, more);

	if (is(path, type))
		return path;
	free(path);
	return NULL;
}

static bool
has_dir(const char *dir, const char *name)
{
	char *path = there(dir, name, "", S_IFDIR);

	free(path);
	return path != NULL;
}

int
import_read(const char *path, struct buf *out, struct err *e)
{
	FILE *in = fopen(path, "re");
	char bytes[4096];
	size_t n;
	int rc = 0;

	if (in == NULL)
		return err_set(
		    e, ERR_CONFIG, "%.120s: %s", path, strerror(errno));
	while (rc == 0 && (n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		if (buf_put(out, bytes, n) == -1)
			rc = err_set(e, ERR_REFUSED,
			    "%.120s has more than %d bytes", path,
			    IMPORT_FILE_MAX);
	if (rc == 0 && ferror(in))
		rc = err_set(e, ERR_CONFIG, "%.120s cannot be read", path);
	mem_wipe(bytes, sizeof(bytes));
	fclose(in);
	return rc;
}

static int
visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Each entry of a directory, in the order of names. */
static int
each(struct finds *f, const char *dir, entry_fn *fn, struct err *e)
{
	struct dirent **list;
	int n = scandir(dir, &list, visible, alphasort);

	if (n == -1)
		return err_set(
		    e, ERR_CONFIG, "%.120s: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (f->n < FINDS_MAX)
			fn(f, dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return 0;
}

/* All is taken over. */
static void
add(struct finds *f, char *cert, char *key, char *issuer, char *ca)
{
	f->item = xrealloc(f->item, (f->n + 1) * sizeof(*f->item));
	f->item[f->n++] = (struct found){ .cert = cert,
		.key = key,
		.issuer = issuer,
		.ca = ca,
		.why = key == NULL ? "there is no key beside it" : NULL };
}

/* --- what the programs remember of the CA ------------------------------------------ */

/* The value of "name = value" or name='value' in a file, or NULL. */
static char *
setting(const char *path, const char *name)
{
	size_t len = strlen(name);
	char *found = NULL;
	struct buf text;
	struct err e;

	buf_init(&text, IMPORT_FILE_MAX);
	if (path != NULL && import_read(path, &text, &e) == 0)
		for (char *line = text.p, *end; line != NULL;
		     line = end != NULL ? end + 1 : NULL) {
			char *v = line + len;

			end = strchr(line, '\n');
			if (strncmp(line, name, len) != 0)
				continue;
			v += strspn(v, " \t");
			if (*v != '=')
				continue;
			v++;
			v += strspn(v, " \t'\"");
			free(found);
			found = xmemdup0(v, strcspn(v, " \t\r\n'\""));
		}
	buf_wipe(&text);
	return found;
}

/* The first of the texts in a JSON file; "a/b" is b in a. */
static char *
json_setting(const char *path, const char *const *where)
{
	json_t *all = path != NULL ? json_load_file(path, 0, NULL) : NULL;
	const char *text = NULL;
	char outer[32], *found;

	for (; text == NULL && *where != NULL; where++) {
		const char *slash = strchr(*where, '/');
		const json_t *o = all;

		if (slash != NULL) {
			snprintf(outer, sizeof(outer), "%.*s",
			    (int)(slash - *where), *where);
			o = json_object_get(all, outer);
		}
		text = json_string_value(
		    json_object_get(o, slash != NULL ? slash + 1 : *where));
	}
	found = xstrdup(text);
	json_decref(all);
	return found;
}

/* --- one entry of each kind of directory -------------------------------------------- */

/* dir is live/, whose names are those of renewal/. */
static void
of_certbot(struct finds *f, const char *dir, const char *name)
{
	char *own = xasprintf("%s/%s", dir, name);
	char *cert = there(own, "fullchain.pem", "", S_IFREG);
	char *conf = xasprintf("%s/../renewal/%s.conf", dir, name);

	if (cert != NULL)
		add(f, cert, there(own, "privkey.pem", "", S_IFREG), NULL,
		    setting(conf, "server"));
	free(conf);
	free(own);
}

static void
of_acme_sh(struct finds *f, const char *dir, const char *name)
{
	char *own = xasprintf("%s/%s", dir, name);
	char *cert = there(own, "fullchain.cer", "", S_IFREG);
	char *domain = xstrdup(name), *conf;

	if (cert != NULL) {
		if (str_has_suffix(domain, "_ecc"))
			domain[strlen(domain) - strlen("_ecc")] = '\0';
		conf = there(own, domain, ".conf", S_IFREG);
		add(f, cert, there(own, domain, ".key", S_IFREG), NULL,
		    setting(conf, "Le_API"));
		free(conf);
	}
	free(domain);
	free(own);
}

static void
of_lego(struct finds *f, const char *dir, const char *name)
{
	static const char *const where[] = { "certUrl", "certStableUrl", NULL };
	char *cert, *base, *json;

	if (!str_has_suffix(name, ".crt") ||
	    str_has_suffix(name, ".issuer.crt") ||
	    (cert = there(dir, name, "", S_IFREG)) == NULL)
		return;
	base = xmemdup0(name, strlen(name) - strlen(".crt"));
	json = there(dir, base, ".json", S_IFREG);
	add(f, cert, there(dir, base, ".key", S_IFREG),
	    there(dir, base, ".issuer.crt", S_IFREG),
	    json_setting(json, where));
	free(json);
	free(base);
}

static void
of_caddy_name(struct finds *f, const char *dir, const char *name)
{
	static const char *const where[] = { "issuer_data/ca",
		"issuer_data/url", NULL };
	char *own = xasprintf("%s/%s", dir, name);
	char *cert = there(own, name, ".crt", S_IFREG), *json;

	if (cert != NULL) {
		json = there(own, name, ".json", S_IFREG);
		add(f, cert, there(own, name, ".key", S_IFREG), NULL,
		    json_setting(json, where));
		if (str_has_suffix(dir, "/local"))
			f->item[f->n - 1].why =
			    "Caddy made it itself, for tests: no browser "
			    "trusts it";
		free(json);
	}
	free(own);
}

/* A directory for each CA. */
static void
of_caddy(struct finds *f, const char *dir, const char *name)
{
	char *own = xasprintf("%s/%s", dir, name);
	struct err ignored;

	if (is(own, S_IFDIR))
		each(f, own, of_caddy_name, &ignored);
	free(own);
}

static bool
has_certificate(const char *path)
{
	struct buf text;
	struct err e;
	bool found;

	buf_init(&text, IMPORT_FILE_MAX);
	found = import_read(path, &text, &e) == 0 &&
	        strstr(text.p, "-----BEGIN CERTIFICATE-----") != NULL;
	buf_wipe(&text);
	return found;
}

/* As HAProxy reads "crt DIRECTORY", with its "ssl-load-extra-files". */
static void
of_haproxy(struct finds *f, const char *dir, const char *name)
{
	static const char *const extra[] = { ".key", ".issuer", ".ocsp",
		".sctl" };
	char *cert, *key, *base;

	for (size_t i = 0; i < sizeof(extra) / sizeof(extra[0]); i++)
		if (str_has_suffix(name, extra[i]))
			return;
	cert = there(dir, name, "", S_IFREG);
	if (cert == NULL || !has_certificate(cert)) {
		free(cert);
		return;
	}
	key = there(dir, name, ".key", S_IFREG);
	if (key == NULL && str_has_suffix(name, ".crt")) {
		base = xmemdup0(name, strlen(name) - strlen(".crt"));
		key = there(dir, base, ".key", S_IFREG);
		free(base);
	}
	add(f, cert, key != NULL ? key : xstrdup(cert),
	    there(dir, name, ".issuer", S_IFREG), NULL);
}

/* --- whose is it? ------------------------------------------------------------------- */

/* inside: where its certificates are, below the directory or itself. */
static const struct layout {
	const char *from, *inside;
	entry_fn *fn;
} layouts[] = {
	{ "certbot", "live", of_certbot },
	{ "lego", "certificates", of_lego },
	{ "caddy", "certificates", of_caddy },
	{ "acme.sh", "", of_acme_sh },
	{ "certbot", "", of_certbot },
	{ "caddy", "", of_caddy },
	{ "lego", "", of_lego },
	{ "haproxy", "", of_haproxy },
};
#define NLAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

static int
try(struct finds *f, const struct layout *l, const char *dir, struct err *e)
{
	char *inside = xasprintf("%s/%s", dir, l->inside);
	int rc;

	if (l->inside[0] != '\0' && !has_dir(dir, l->inside)) {
		free(inside);
		return 0;
	}
	f->from = l->from;
	rc = each(f, l->inside[0] != '\0' ? inside : dir, l->fn, e);
	free(inside);
	return rc;
}

/* lego's are in one directory, as HAProxy's may be: lego leaves more behind. */
static bool
is_legos(const struct finds *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->item[i].ca != NULL || f->item[i].issuer != NULL)
			return true;
	return false;
}

int
import_find(struct finds *f, const char *dir, const char *from, struct err *e)
{
	bool any = from == NULL || strcmp(from, "auto") == 0, known = any;

	*f = (struct finds){ 0 };
	for (size_t i = 0; i < NLAYOUTS && f->n == 0; i++) {
		const struct layout *l = &layouts[i];

		if (!any && strcmp(l->from, from) != 0)
			continue;
		known = true;
		if (try(f, l, dir, e) == -1)
			return -1;
		if (any && l->fn == of_lego && l->inside[0] == '\0' &&
		    !is_legos(f))
			import_clear(f);
	}
	if (!known)
		return err_set(e, ERR_REFUSED,
		    "--from must be certbot, acme.sh, lego, caddy, haproxy or "
		    "auto, not \"%.40s\"",
		    from);
	if (f->n > 0)
		return 0;
	err_set(e, ERR_REFUSED, "%.120s has no certificates as %s keeps them",
	    dir, any ? "certbot, acme.sh, lego, Caddy or HAProxy" : from);
	memcpy(e->type, IMPORT_NONE, sizeof(IMPORT_NONE));
	return -1;
}
