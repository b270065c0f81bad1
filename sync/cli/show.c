#include "sync/cli/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/grid.h"
#include "sync/cli/text.h"

#define HISTORY_MAX 10 /* decisions that a person wants to see */
#define DAY INT64_C(86400000)
#define DATE_LEN 10 /* "2026-11-24" */

/* -1: a status of a newer server. */
static int
status_of(const json_t *domain)
{
	const char *s = json_string_value(json_object_get(domain, "status"));

	return s != NULL ? domain_status_parse(s) : -1;
}

static enum colour
status_colour(int status)
{
	if (status < 0)
		return COLOUR_NONE;
	switch ((enum domain_status)status) {
	case DOMAIN_PENDING_DNS:
		return COLOUR_CYAN;
	case DOMAIN_CREATING:
		return COLOUR_YELLOW;
	case DOMAIN_IN_USE:
		return COLOUR_GREEN;
	case DOMAIN_ACTION_REQUIRED:
		return COLOUR_RED;
	case DOMAIN_NOT_USED:
	case DOMAIN_DISABLED:
		return COLOUR_DIM;
	case DOMAIN_STATUSES:
		break;
	}
	return COLOUR_NONE;
}

/* The domain's own words, else those of its status. */
static char *
label_of(const json_t *domain)
{
	char *label = text_member(domain, "label");

	if (label[0] != '\0')
		return label;
	free(label);
	return text_member(domain, "status");
}

/* "2026-11-24 (61 days)", "2026-11-24 (expired)", "". */
static char *
validity(const struct show *s, const json_t *domain, enum colour *colour)
{
	int64_t end = text_time_member(domain, "not_after");
	char date[STR_TIME_MAX], span[TEXT_SPAN_MAX];

	*colour = COLOUR_NONE;
	if (end == 0)
		return xstrdup("");
	str_time(date, end)[DATE_LEN] = '\0';
	if (end <= s->now) {
		*colour = COLOUR_RED;
		return xasprintf("%s (expired)", date);
	}
	if (end - s->now < 7 * DAY)
		*colour = COLOUR_YELLOW;
	return xasprintf("%s (%s)", date, text_span(span, end - s->now));
}

/* What happens next, with its time; "" when nothing does. */
static char *
next_of(const struct show *s, const json_t *domain)
{
	int64_t next = text_time_member(domain, "next_at");
	int64_t renew = text_time_member(domain, "renew_at");
	int64_t limited = text_time_member(domain, "rate_limited_until");
	char when[TEXT_SPAN_MAX];

	switch (status_of(domain)) {
	case DOMAIN_PENDING_DNS:
	case DOMAIN_ACTION_REQUIRED:
		if (next > s->now)
			return xasprintf(
			    "checked again %s", text_when(when, next, s->now));
		return xstrdup("being checked");
	case DOMAIN_CREATING:
		if (limited > s->now)
			return xasprintf("CA's limit ends %s",
			    text_when(when, limited, s->now));
		if (next > s->now)
			return xasprintf(
			    "tried again %s", text_when(when, next, s->now));
		return xstrdup("being ordered");
	case DOMAIN_IN_USE:
		if (renew > s->now)
			return xasprintf(
			    "renewed %s", text_when(when, renew, s->now));
		return xstrdup(renew > 0 ? "renewal is due" : "");
	default:
		return xstrdup("");
	}
}

/* The reason is worth a place unless all is well. */
static char *
next_and_reason(const struct show *s, const json_t *domain)
{
	char *next = next_of(s, domain), *reason, *both;

	if (status_of(domain) == DOMAIN_IN_USE)
		return next;
	reason = text_member(domain, "reason");
	both = xasprintf("%s%s%s", next,
	    next[0] != '\0' && reason[0] != '\0' ? ": " : "", reason);
	free(next);
	free(reason);
	return both;
}

void
show_domains(const struct show *s, const json_t *domains, struct buf *out)
{
	static const char *const head[] = { "Domain", "App", "Status",
		"Certificate", "Next", "Manual Action" };
	enum colour colour;
	const json_t *d;
	struct grid g;
	char *text;
	size_t i;

	if (json_array_size(domains) == 0) {
		buf_puts(out, "no domains\n");
		return;
	}
	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (domains, i, d) {
		grid_put(&g, text_member(d, "name"), COLOUR_NONE);
		grid_put(&g, text_member(d, "app"), COLOUR_NONE);
		grid_put(&g, label_of(d), status_colour(status_of(d)));
		text = validity(s, d, &colour);
		grid_put(&g, text, colour);
		grid_put(&g, next_and_reason(s, d), COLOUR_NONE);
		grid_put(&g, text_member(d, "action"), COLOUR_RED);
	}
	grid_print(&g, s->colours, out);
	grid_clear(&g);
}

void
show_line(const struct show *s, const json_t *domain, struct buf *out)
{
	char *label = label_of(domain), *reason = text_member(domain, "reason");
	char *next = next_of(s, domain);

	buf_putf(out, "%s%s%s%s%s", label, reason[0] != '\0' ? ": " : "",
	    reason, next[0] != '\0' ? "; " : "", next);
	free(label);
	free(reason);
	free(next);
}

/* --- one domain ----------------------------------------------------------- */

#define NAME_WIDTH 13

static void
put_name(const struct show *s, struct buf *out, const char *name)
{
	buf_putf(out, "%s%-*s%s", colour_on(COLOUR_BOLD, s->colours),
	    NAME_WIDTH, name, colour_off(COLOUR_BOLD, s->colours));
}

/* A line with a member's text, none when it has none. */
static void
put_member(const struct show *s, struct buf *out, const char *name,
    const json_t *o, const char *key)
{
	char *text = text_member(o, key);

	if (text[0] != '\0') {
		put_name(s, out, name);
		buf_putf(out, "%s\n", text);
	}
	free(text);
}

static void
why_state(const struct show *s, const json_t *d, struct buf *out)
{
	int64_t since = text_time_member(d, "status_at");
	enum colour colour = status_colour(status_of(d));
	char *label = label_of(d), when[TEXT_SPAN_MAX], at[STR_TIME_MAX];

	put_name(s, out, "State");
	buf_putf(out, "%s%s%s", colour_on(colour, s->colours), label,
	    colour_off(colour, s->colours));
	if (since > 0)
		buf_putf(out, " since %s (%s)", str_time(at, since),
		    text_when(when, since, s->now));
	buf_puts(out, "\n");
	free(label);
}

static void
why_next(const struct show *s, const json_t *d, struct buf *out)
{
	const json_t *why = json_object_get(d, "why");
	int64_t at = text_time_member(why, "next_at");
	char *next = next_of(s, d), text[STR_TIME_MAX];

	/* A newer server knows sentences that we do not. */
	if (next[0] == '\0') {
		free(next);
		next = text_member(why, "next");
		at = 0;
	}
	put_name(s, out, "Next");
	buf_puts(out, next);
	if (at > s->now)
		buf_putf(out, " (%s)", str_time(text, at));
	buf_puts(out, "\n");
	free(next);
}

/* What a person has to make is good for so long. */
static void
why_action(const struct show *s, const json_t *d, struct buf *out)
{
	int64_t until = text_time_member(d, "acme_dns_until");
	char when[TEXT_SPAN_MAX], at[STR_TIME_MAX];

	put_member(s, out, "Action", d, "action");
	if (until <= s->now)
		return;
	put_name(s, out, "");
	buf_putf(out, "the CA wants another value after %s (%s)\n",
	    str_time(at, until), text_when(when, until, s->now));
}

/* Unless it is the reason and has been said. */
static void
why_last_error(const struct show *s, const json_t *d, struct buf *out)
{
	const json_t *reason = json_object_get(d, "reason");

	if (!json_equal(reason, json_object_get(d, "last_error")))
		put_member(s, out, "Last error", d, "last_error");
}

static void
why_attempts(const struct show *s, const json_t *d, struct buf *out)
{
	int64_t n = text_int_member(d, "attempts");

	if (n == 0)
		return;
	put_name(s, out, "Attempts");
	buf_putf(out, "%" PRId64 " failed since the last success\n", n);
}

/* When the CA wants it renewed, and where it says why. */
static void
why_window(const struct show *s, const json_t *d, struct buf *out)
{
	int64_t start = text_time_member(d, "ari_start");
	int64_t end = text_time_member(d, "ari_end");
	char at[STR_TIME_MAX];

	if (end == 0)
		return;
	put_name(s, out, "");
	buf_putf(out, "the CA suggests renewal from %s", str_time(at, start));
	buf_putf(out, " to %s\n", str_time(at, end));
	put_member(s, out, "Explanation", d, "explanation_url");
}

static void
why_certificate(const struct show *s, const json_t *d, struct buf *out)
{
	int64_t from = text_time_member(d, "not_before");
	int64_t to = text_time_member(d, "not_after");
	char *serial = text_member(d, "serial"), *issuer;
	char at[STR_TIME_MAX], span[TEXT_SPAN_MAX];

	put_name(s, out, "Certificate");
	if (to == 0) {
		buf_puts(out, "none yet\n");
		free(serial);
		return;
	}
	issuer = text_member(d, "issuer");
	buf_putf(out, "serial %s by %s, version %" PRId64 "\n", serial,
	    issuer[0] != '\0' ? issuer : "an unknown CA",
	    text_int_member(d, "version"));
	put_name(s, out, "");
	buf_putf(out, "valid from %s", str_time(at, from));
	buf_putf(out, " to %s (", str_time(at, to));
	if (to > s->now)
		buf_putf(out, "%s left)\n", text_span(span, to - s->now));
	else
		buf_puts(out, "expired)\n");
	free(serial);
	free(issuer);
	why_window(s, d, out);
}

static void
why_nodes(const struct show *s, const json_t *d, struct buf *out)
{
	const json_t *nodes = json_object_get(d, "nodes"), *n, *serving;
	const char *name = "Nodes";
	size_t i;

	json_array_foreach (nodes, i, n) {
		char *id = text_member(n, "id"), *error;

		error = text_member(n, "error");
		serving = json_object_get(n, "serving");
		put_name(s, out, name);
		name = "";
		buf_putf(out, "%s %s%s%s%s\n", id,
		    json_is_true(serving)    ? "serves it"
		    : json_is_false(serving) ? "does not serve it"
					     : "is not known to serve it",
		    json_is_false(json_object_get(n, "live")) ? ", and is away"
							      : "",
		    error[0] != '\0' ? ": " : "", error);
		free(id);
		free(error);
	}
}

/* What was decided, newest first; all of it with --json. */
static void
why_timeline(const struct show *s, const json_t *d, struct buf *out)
{
	const json_t *list = json_object_get(d, "timeline"), *o;
	const char *name = "History";
	size_t i;

	json_array_foreach (list, i, o) {
		char *type = text_member(o, "type"), *why, *status;
		char when[TEXT_SPAN_MAX];

		why = text_member(o, "reason");
		status = text_member(o, "status");
		put_name(s, out, name);
		name = "";
		buf_putf(out, "%s: %s%s%s\n",
		    text_when(when, text_time_member(o, "at"), s->now),
		    strcmp(type, "status") == 0 ? status : type,
		    why[0] != '\0' ? ", " : "", why);
		free(type);
		free(why);
		free(status);
		if (i + 1 == HISTORY_MAX)
			break;
	}
}

void
show_why(const struct show *s, const json_t *d, struct buf *out)
{
	char *name = text_member(d, "name"), *app = text_member(d, "app");
	const json_t *why = json_object_get(d, "why");

	buf_putf(out, "%s%s%s (app %s)\n", colour_on(COLOUR_BOLD, s->colours),
	    name, colour_off(COLOUR_BOLD, s->colours), app);
	free(name);
	free(app);
	why_state(s, d, out);
	put_member(s, out, "Reason", why, "reason");
	why_next(s, d, out);
	why_action(s, d, out);
	why_last_error(s, d, out);
	why_attempts(s, d, out);
	why_certificate(s, d, out);
	why_nodes(s, d, out);
	why_timeline(s, d, out);
}
