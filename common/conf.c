/*
 * Reading the file: the only place that sees libconfuse.
 *
 * Libconfuse splits the file into names and texts; types, bounds and messages
 * are ours, so every setting is declared to it as a list of strings.  It stops
 * at the first name it does not know; such a name is noted, declared as well,
 * and the text read again, so that one run tells all that is wrong.
 */
#include "common/conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/conf_table.h"
#include "common/mem.h"
#include "common/str.h"

#define FILE_MAX (256 * 1024)
#define SETTINGS_MAX 192
#define FAULTS_MAX 64
#define UNKNOWN_MAX 16 /* names that are no setting, before we give up */
#define SECTIONS_MAX (16 + UNKNOWN_MAX)
#define EXIT_CHANGE_SOMETHING 100
#define PROVIDER "provider"

struct fault {
	int line; /* 0: of the file as a whole */
	char text[256];
};

struct unknown {
	char section[32], name[64];
	int line;
	bool is_section;
};

struct reading {
	const char *path;
	bool secrets; /* are read */
	struct conf *conf;
	int line[SETTINGS_MAX]; /* where each setting stands, 0: nowhere */
	int provider_line[CONF_PROVIDERS][CONF_PROVIDER_SETTINGS];
	struct unknown unknown[UNKNOWN_MAX];
	size_t nunknown;
	bool again; /* this reading has found a new unknown name */
	struct fault fault[FAULTS_MAX];
	size_t nfaults;
};

/* Libconfuse's callbacks carry nothing of ours: set while it reads. */
static struct reading *current;

static void
add_fault(struct reading *r, int line, const char *text)
{
	struct fault *f = &r->fault[r->nfaults];

	if (r->nfaults == FAULTS_MAX)
		return;
	f->line = line;
	snprintf(f->text, sizeof(f->text), "%s", text);
	r->nfaults++;
}

/* --- what libconfuse tells us ------------------------------------------------ */

static const char *
section_of(const cfg_t *cfg)
{
	return strcmp(cfg->name, "root") == 0 ? "" : cfg->name;
}

static struct unknown *
find_unknown(struct reading *r, const char *section, const char *name)
{
	for (size_t i = 0; i < r->nunknown; i++)
		if (strcmp(r->unknown[i].section, section) == 0 &&
		    strcmp(r->unknown[i].name, name) == 0)
			return &r->unknown[i];
	return NULL;
}

/* A name that libconfuse does not know: note it, to be passed over. */
static bool
note_unknown(struct reading *r, const char *section, const char *name, int line)
{
	struct unknown *u = &r->unknown[r->nunknown];

	if (r->nunknown == UNKNOWN_MAX ||
	    strlen(section) >= sizeof(u->section) ||
	    strlen(name) >= sizeof(u->name) || name[0] == '\0' ||
	    find_unknown(r, section, name) != NULL)
		return false;
	*u = (struct unknown){ .line = line };
	memcpy(u->section, section, strlen(section) + 1);
	memcpy(u->name, name, strlen(name) + 1);
	r->nunknown++;
	return true;
}

/* Name what stands in a message of libconfuse's, "...option 'name'". */
static bool
named(const char *text, const char *before, char *name, size_t size)
{
	const char *start = text + strlen(before);
	size_t len;

	if (!str_has_prefix(text, before) || strlen(start) < 2)
		return false;
	len = strlen(start) - 1; /* the quote */
	if (len >= size)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	return true;
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct reading *r = current;
	const char *section = section_of(cfg);
	char text[160], shown[sizeof(((struct fault *)0)->text)], name[64];
	struct unknown *u;

	vsnprintf(text, sizeof(text), fmt, ap);
	if (named(text, "no such option '", name, sizeof(name)) &&
	    note_unknown(r, section, name, cfg->line)) {
		r->again = true;
		return;
	}
	/* What we declared as a setting stands there as a section. */
	if (named(text, "missing equal sign after option '", name,
		sizeof(name))) {
		u = find_unknown(r, section, name);
		if (u != NULL && !u->is_section) {
			u->is_section = true;
			r->again = true;
			return;
		}
	}
	str_printable(shown, sizeof(shown), text, strlen(text));
	add_fault(r, cfg->line, shown);
}

/* The same in a provider's section. */
static void
note_provider(const cfg_t *cfg, const char *name)
{
	int which = conf_provider_index(cfg->title);

	for (size_t i = 0; which != -1 && i < CONF_PROVIDER_SETTINGS; i++)
		if (strcmp(conf_provider_settings[i].name, name) == 0)
			current->provider_line[which][i] = cfg->line;
}

/* Called when a value, or an item of a list, was read. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const struct conf_setting *s = conf_find(section_of(cfg), opt->name);

	if (cfg->title != NULL)
		note_provider(cfg, opt->name);
	else if (s != NULL)
		current->line[s - conf_settings] = cfg->line;
	return 0;
}

/* --- what we tell libconfuse ------------------------------------------------- */

struct declared {
	cfg_opt_t top[SETTINGS_MAX];
	cfg_opt_t section[SECTIONS_MAX][SETTINGS_MAX];
	size_t ntop, nsections;
};

static void
declare(cfg_opt_t *opts, size_t *n, const char *name)
{
	const cfg_opt_t list[] = { CFG_STR_LIST(NULL, NULL, CFGF_NODEFAULT) };

	opts[*n] = list[0];
	opts[*n].name = name;
	opts[*n].validcb = on_value;
	(*n)++;
}

/* A section with the settings of that name, and with what is unknown in it. */
static void
declare_section(struct declared *d, const struct reading *r, const char *name)
{
	const cfg_opt_t end[] = { CFG_END() };
	cfg_opt_t *opts = d->section[d->nsections];
	const cfg_opt_t section[] = { CFG_SEC(NULL, opts, CFGF_NONE) };
	size_t n = 0;

	for (size_t i = 0; i < conf_nsettings; i++)
		if (strcmp(conf_settings[i].section, name) == 0)
			declare(opts, &n, conf_settings[i].name);
	for (size_t i = 0; i < r->nunknown; i++)
		if (strcmp(r->unknown[i].section, name) == 0)
			declare(opts, &n, r->unknown[i].name);
	opts[n] = end[0];
	d->nsections++;
	d->top[d->ntop] = section[0];
	d->top[d->ntop].name = name;
	d->ntop++;
}

/* provider "NAME" { ... }, any number of them. */
static void
declare_providers(struct declared *d, const struct reading *r)
{
	const cfg_opt_t end[] = { CFG_END() };
	cfg_opt_t *opts = d->section[d->nsections++];
	const cfg_opt_t section[] = { CFG_SEC(
	    NULL, opts, CFGF_TITLE | CFGF_MULTI) };
	size_t n = 0;

	for (size_t i = 0; i < CONF_PROVIDER_SETTINGS; i++)
		declare(opts, &n, conf_provider_settings[i].name);
	for (size_t i = 0; i < r->nunknown; i++)
		if (strcmp(r->unknown[i].section, PROVIDER) == 0)
			declare(opts, &n, r->unknown[i].name);
	opts[n] = end[0];
	d->top[d->ntop] = section[0];
	d->top[d->ntop].name = PROVIDER;
	d->ntop++;
}

static void
declare_all(struct declared *d, const struct reading *r)
{
	const cfg_opt_t end[] = { CFG_END() };

	d->ntop = d->nsections = 0;
	for (size_t i = 0; i < conf_nsettings; i++) {
		const char *section = conf_settings[i].section;

		if (section[0] == '\0')
			declare(d->top, &d->ntop, conf_settings[i].name);
		else if (strcmp(section, conf_settings[i - 1].section) != 0)
			declare_section(d, r, section);
	}
	declare_providers(d, r);
	for (size_t i = 0; i < r->nunknown; i++) {
		if (r->unknown[i].section[0] != '\0')
			continue;
		if (r->unknown[i].is_section)
			declare_section(d, r, r->unknown[i].name);
		else
			declare(d->top, &d->ntop, r->unknown[i].name);
	}
	d->top[d->ntop] = end[0];
}

/* --- from texts to settings -------------------------------------------------- */

static void
take_from(struct reading *r, cfg_t *in, const struct conf_setting *s,
    void *member, int line)
{
	const char *value[CONF_LIST_MAX + 1];
	cfg_opt_t *opt = in != NULL ? cfg_getopt(in, s->name) : NULL;
	struct err e;
	size_t n;

	if (opt == NULL || (opt->flags & CFGF_MODIFIED) == 0 ||
	    (s->type == CONF_IS_SECRET && !r->secrets))
		return;
	n = cfg_opt_size(opt);
	for (size_t i = 0; i < n && i <= CONF_LIST_MAX; i++)
		value[i] = cfg_opt_getnstr(opt, (unsigned int)i);
	if (conf_set(member, s, value, n, &e) == -1)
		add_fault(r, line, e.text);
}

static void
take_setting(struct reading *r, cfg_t *cfg, const struct conf_setting *s)
{
	take_from(r, s->section[0] != '\0' ? cfg_getsec(cfg, s->section) : cfg,
	    s, conf_member(r->conf, s), r->line[s - conf_settings]);
}

static void
unknown_provider(struct reading *r, const cfg_t *in)
{
	char shown[64];
	struct buf text;

	str_printable(shown, sizeof(shown), in->title, strlen(in->title));
	buf_init(&text, sizeof(r->fault[0].text) - 1);
	buf_putf(&text, "there is no DNS provider \"%s\"; it can be", shown);
	for (size_t i = 0; i < CONF_PROVIDERS; i++)
		buf_putf(
		    &text, "%s %s", i > 0 ? "," : "", conf_provider_names[i]);
	add_fault(r, in->line, text.p);
	buf_clear(&text);
}

static void
take_providers(struct reading *r, cfg_t *cfg)
{
	for (unsigned int i = 0; i < cfg_size(cfg, PROVIDER); i++) {
		cfg_t *in = cfg_getnsec(cfg, PROVIDER, i);
		int which = conf_provider_index(in->title);

		if (which == -1) {
			unknown_provider(r, in);
			continue;
		}
		for (size_t j = 0; j < CONF_PROVIDER_SETTINGS; j++)
			take_from(r, in, &conf_provider_settings[j],
			    conf_provider_member(&r->conf->provider[which],
				&conf_provider_settings[j]),
			    r->provider_line[which][j]);
	}
}

static void
on_rule(void *arg, const void *member, const char *text)
{
	struct reading *r = arg;
	int line = 0;

	for (size_t i = 0; i < conf_nsettings; i++)
		if (conf_member(r->conf, &conf_settings[i]) == member)
			line = r->line[i];
	for (size_t i = 0; i < CONF_PROVIDERS; i++)
		for (size_t j = 0; j < CONF_PROVIDER_SETTINGS; j++)
			if (conf_provider_member(&r->conf->provider[i],
				&conf_provider_settings[j]) == member)
				line = r->provider_line[i][j];
	add_fault(r, line, text);
}

/* Read the text until no new unknown name is found. */
static void
read_text(struct reading *r, const char *text)
{
	struct declared *d = xmalloc(sizeof(*d));
	cfg_t *cfg;
	int rc;

	current = r;
	do {
		r->again = false;
		memset(r->line, 0, sizeof(r->line));
		declare_all(d, r);
		cfg = cfg_init(d->top, CFGF_NONE);
		if (cfg == NULL)
			abort();
		cfg_set_error_function(cfg, on_error);
		rc = cfg_parse_buf(cfg, text);
		if (rc != CFG_SUCCESS && !r->again && r->nfaults == 0)
			add_fault(r, 0, "libconfuse cannot read it");
		for (size_t i = 0; i < conf_nsettings && !r->again; i++)
			take_setting(r, cfg, &conf_settings[i]);
		if (!r->again)
			take_providers(r, cfg);
		cfg_free(cfg);
	} while (r->again);
	current = NULL;
	free(d);
	for (size_t i = 0; i < r->nunknown; i++) {
		const struct unknown *u = &r->unknown[i];
		char sentence[sizeof(r->fault[0].text)];

		/* In a section that is unknown itself all names are. */
		if (u->section[0] != '\0' &&
		    find_unknown(r, "", u->section) != NULL)
			continue;
		conf_unknown(u->section, u->name, u->is_section, sentence,
		    sizeof(sentence));
		add_fault(r, u->line, sentence);
	}
}

static int
by_line(const void *a, const void *b)
{
	const struct fault *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

/* Print all faults; the first one goes to e. */
static int
report(struct reading *r, struct err *e)
{
	char where[128];

	if (r->nfaults == 0)
		return 0;
	qsort(r->fault, r->nfaults, sizeof(r->fault[0]), by_line);
	for (size_t i = r->nfaults; i > 0; i--) {
		const struct fault *f = &r->fault[i - 1];

		snprintf(where, sizeof(where), "%.100s", r->path);
		if (f->line > 0)
			snprintf(where, sizeof(where), "%.100s:%d", r->path,
			    f->line);
		err_set(e, ERR_CONFIG, "%s: %s", where, f->text);
	}
	for (size_t i = 0; i < r->nfaults; i++) {
		const struct fault *f = &r->fault[i];

		if (f->line > 0)
			fprintf(
			    stderr, "%s:%d: %s\n", r->path, f->line, f->text);
		else
			fprintf(stderr, "%s: %s\n", r->path, f->text);
	}
	return -1;
}

struct conf *
conf_parse(const char *path, char *text, bool secrets, struct err *e)
{
	struct reading *r = xcalloc(1, sizeof(*r));
	struct conf *c = xcalloc(1, sizeof(*c));
	const char *what;
	char sentence[64];
	int line;

	conf_set_initial(c);
	r->path = path;
	r->secrets = secrets;
	r->conf = c;
	line = conf_strip(text, &what);
	if (line != 0) {
		snprintf(
		    sentence, sizeof(sentence), "a %s is not closed", what);
		add_fault(r, line, sentence);
	} else {
		read_text(r, text);
	}
	conf_derive(c);
	/* Rules see defaults where a setting was wrong: ask them when none. */
	if (r->nfaults == 0 && secrets)
		conf_rules(c, on_rule, r);
	if (report(r, e) == -1) {
		conf_free(c);
		c = NULL;
	}
	free(r);
	return c;
}

/* --- the file ------------------------------------------------------------------ */

static int
read_file(const char *path, struct buf *out, struct err *e)
{
	char chunk[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd == -1 && errno == ENOENT && strcmp(path, CONF_PATH) == 0)
		return 0;
	if (fd == -1)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		if (buf_put(out, chunk, (size_t)n) == -1)
			break;
	if (n == -1)
		err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	close(fd);
	if (n > 0 || out->len == out->cap)
		return err_set(e, ERR_CONFIG, "%s is larger than %d bytes",
		    path, FILE_MAX);
	if (n == 0 && strlen(out->p) != out->len)
		return err_set(e, ERR_CONFIG, "%s has a NUL byte in it", path);
	return n == 0 ? 0 : -1;
}

static struct conf *
load(const char *path, bool secrets, struct err *e)
{
	struct conf *c = NULL;
	struct buf text;

	buf_init(&text, FILE_MAX + 1);
	if (read_file(path, &text, e) == -1)
		fprintf(stderr, "%s\n", e->text);
	else if (buf_put(&text, "\n", 1) == 0)
		c = conf_parse(path, text.p, secrets, e);
	buf_clear(&text);
	return c;
}

struct conf *
conf_load(const char *path, struct err *e)
{
	return load(path, true, e);
}

struct conf *
conf_load_public(const char *path, struct err *e)
{
	return load(path, false, e);
}

bool
conf_redis_embedded(const struct conf *c)
{
	return c->redis.url[0] == '\0' && c->redis.sentinels.n == 0 &&
	       c->redis.cluster.n == 0;
}

bool
conf_redis_local(const struct conf *c)
{
	return conf_redis_embedded(c) || str_has_prefix(c->redis.url, "unix:");
}

const char *
conf_redis_url(const struct conf *c)
{
	if (c->redis.sentinels.n > 0)
		return "sentinel";
	if (c->redis.cluster.n > 0)
		return "cluster";
	return c->redis.url[0] != '\0' ? c->redis.url : c->embedded_url;
}

int
conf_check(const char *path)
{
	struct err e;
	struct conf *c = conf_load(path, &e);

	if (c == NULL)
		return EXIT_CHANGE_SOMETHING;
	puts("Configuration file is valid");
	conf_free(c);
	return 0;
}
