#include "sync/cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "sync/cli/grid.h"
#include "sync/cli/text.h"

#define TEXT_MAX 1024

static const struct {
	const char *name;
	enum colour colour;
} levels[] = {
	[DOCTOR_WELL] = { "ok", COLOUR_GREEN },
	[DOCTOR_NOTE] = { "note", COLOUR_NONE },
	[DOCTOR_SKIPPED] = { "skipped", COLOUR_DIM },
	[DOCTOR_WARNING] = { "warning", COLOUR_YELLOW },
	[DOCTOR_ERROR] = { "error", COLOUR_RED },
};

static json_t *formatted(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

/* Whatever comes from outside is printable from here on. */
static json_t *
formatted(const char *fmt, va_list ap)
{
	char text[TEXT_MAX], safe[TEXT_MAX];
	json_t *s;

	vsnprintf(text, sizeof(text), fmt, ap);
	s = json_string(str_printable(safe, sizeof(safe), text, strlen(text)));
	/* Cut within a character. */
	return s != NULL ? s : json_string("?");
}

void
doctor_find(struct doctor *d, enum doctor_level level, const char *check,
    const char *fmt, ...)
{
	va_list ap;
	json_t *o;

	va_start(ap, fmt);
	o = json_pack("{s:s, s:s, s:o, s:n, s:n}", "check", check, "level",
	    levels[level].name, "is", formatted(fmt, ap), "should", "cure");
	va_end(ap);
	json_array_append_new(d->results, o);
	d->errors += level == DOCTOR_ERROR;
	d->warnings += level == DOCTOR_WARNING;
}

static void put_last(struct doctor *, const char *key, const char *fmt,
    va_list ap) __attribute__((format(printf, 3, 0)));

static void
put_last(struct doctor *d, const char *key, const char *fmt, va_list ap)
{
	json_object_set_new(
	    json_array_get(d->results, json_array_size(d->results) - 1), key,
	    formatted(fmt, ap));
}

void
doctor_should(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_last(d, "should", fmt, ap);
	va_end(ap);
}

void
doctor_cure(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_last(d, "cure", fmt, ap);
	va_end(ap);
}

/* --- telling ----------------------------------------------------------------------- */

static void
put_result(const struct cli *cli, const json_t *r, struct buf *out)
{
	char *level = text_member(r, "level"), *check, *is, *should, *cure;
	enum colour colour = COLOUR_NONE;

	check = text_member(r, "check");
	is = text_member(r, "is");
	should = text_member(r, "should");
	cure = text_member(r, "cure");
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(levels[i].name, level) == 0)
			colour = levels[i].colour;
	buf_putf(out, "%s%-8s%s %-20s %s\n", colour_on(colour, cli->colours),
	    level, colour_off(colour, cli->colours), check, is);
	if (should[0] != '\0')
		buf_putf(out, "%29s should: %s\n", "", should);
	if (cure[0] != '\0')
		buf_putf(out, "%29s cure: %s\n", "", cure);
	free(level);
	free(check);
	free(is);
	free(should);
	free(cure);
}

static void
tell(const struct doctor *d)
{
	struct buf out;
	json_t *o, *r;
	size_t i;

	if (d->cli->json) {
		o = json_pack("{s:b, s:i, s:i, s:O}", "healthy",
		    d->errors + d->warnings == 0, "errors", d->errors,
		    "warnings", d->warnings, "results", d->results);
		cli_print_json(o);
		json_decref(o);
		return;
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	json_array_foreach (d->results, i, r)
		put_result(d->cli, r, &out);
	cli_print(&out);
	if (d->errors + d->warnings == 0)
		cli_say("nothing is wrong");
	else
		cli_complain("%d error%s, %d warning%s", d->errors,
		    d->errors == 1 ? "" : "s", d->warnings,
		    d->warnings == 1 ? "" : "s");
}

/* Without secrets it can still be looked at, where it is valid. */
static struct conf *
read_conf(struct doctor *d)
{
	struct err e = { 0 };
	struct conf *conf = conf_load(d->cli->conf, &e);

	if (conf != NULL) {
		doctor_find(d, DOCTOR_WELL, "config.valid", "%s", d->cli->conf);
		return conf;
	}
	doctor_find(d, DOCTOR_ERROR, "config.valid", "%s", e.text);
	doctor_should(d, "a configuration without errors, and secrets that "
			 "the one who asks may read");
	doctor_cure(d, "correct what certfleet config check says; run the "
		       "doctor as root");
	return conf_load_public(d->cli->conf, &e);
}

int
cli_doctor(const struct cli *cli)
{
	struct doctor d = { .cli = cli,
		.haproxy_config = cli->haproxy_config,
		.results = json_array() };
	struct conf *conf = read_conf(&d);

	d.conf = conf;
	if (conf != NULL) {
		doctor_files(&d);
		doctor_sync(&d);
		doctor_haproxy(&d);
		doctor_agent(&d);
		doctor_redis(&d);
		doctor_dns(&d);
		doctor_ca(&d);
	}
	tell(&d);
	json_decref(d.results);
	conf_free(conf);
	return d.errors + d.warnings == 0 ? CLI_OK : CLI_FAILED;
}
