/* A check of a name's DNS, and the leader, as people read them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "sync/cli/grid.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

#define NAME_WIDTH 12

static void
put_name(const struct show *s, struct buf *out, const char *name)
{
	buf_putf(out, "%s%-*s%s ", colour_on(COLOUR_BOLD, s->colours),
	    NAME_WIDTH, name, colour_off(COLOUR_BOLD, s->colours));
}

static void
put_coloured(
    const struct show *s, struct buf *out, enum colour c, const char *text)
{
	buf_putf(out, "%s%s%s", colour_on(c, s->colours), text,
	    colour_off(c, s->colours));
}

/* A text of a list, printable. */
static void
put_item(struct buf *out, const json_t *text)
{
	const char *raw = json_string_value(text);
	char safe[1024];

	if (raw != NULL)
		buf_puts(
		    out, str_printable(safe, sizeof(safe), raw, strlen(raw)));
}

static void
put_items(struct buf *out, const json_t *list)
{
	const json_t *text;
	size_t i;

	json_array_foreach (list, i, text) {
		buf_puts(out, i > 0 ? ", " : "");
		put_item(out, text);
	}
}

/* --- check ----------------------------------------------------------------------- */

static void
put_verdict(const struct show *s, const json_t *o, struct buf *out)
{
	static const struct {
		const char *verdict, *words;
		enum colour colour;
	} verdicts[] = {
		{ "ok", "an order could be made", COLOUR_GREEN },
		{ "pending", "Pending DNS", COLOUR_RED },
		{ "unknown", "DNS does not answer", COLOUR_YELLOW },
		{ "caa", "CAA forbids it", COLOUR_RED },
	};
	char *verdict = text_member(o, "verdict");
	char *sentence = text_member(o, "sentence");

	put_name(s, out, "Verdict");
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (strcmp(verdicts[i].verdict, verdict) == 0)
			put_coloured(
			    s, out, verdicts[i].colour, verdicts[i].words);
	if (sentence[0] != '\0')
		buf_putf(out, ": %s", sentence);
	buf_puts(out, "\n");
	free(verdict);
	free(sentence);
}

/* What a CA would find on port 80, as far as it can be seen from here. */
static void
put_reached(const struct show *s, const json_t *found, struct buf *out)
{
	int64_t probed = text_int_member(found, "probed");
	char *unreached = text_member(found, "unreached");

	if (probed > 0) {
		put_name(s, out, "HTTP");
		if (unreached[0] == '\0')
			put_coloured(
			    s, out, COLOUR_GREEN, "it answers a challenge");
		else
			put_coloured(s, out, COLOUR_RED,
			    "it does not answer a challenge");
		buf_putf(
		    out, "%s%s\n", unreached[0] != '\0' ? ": " : "", unreached);
	}
	free(unreached);
}

static void
put_found(const struct show *s, const json_t *found, struct buf *out)
{
	const json_t *cnames = json_object_get(found, "cnames");
	const json_t *addresses = json_object_get(found, "addresses"), *a;
	char *error = text_member(found, "error"), *address;
	const char *name = "Found";
	size_t i;

	if (json_array_size(cnames) > 0) {
		put_name(s, out, name);
		buf_puts(out, "CNAME ");
		put_items(out, cnames);
		buf_puts(out, "\n");
		name = "";
	}
	json_array_foreach (addresses, i, a) {
		bool ours = json_is_true(json_object_get(a, "ours"));

		address = text_member(a, "address");
		put_name(s, out, name);
		buf_putf(out, "%s %s, ",
		    strchr(address, ':') != NULL ? "AAAA" : "A", address);
		put_coloured(s, out, ours ? COLOUR_GREEN : COLOUR_RED,
		    ours ? "ours" : "not ours");
		buf_puts(out, "\n");
		free(address);
		name = "";
	}
	if (json_array_size(addresses) == 0) {
		put_name(s, out, name);
		buf_puts(out, "no address\n");
	}
	if (error[0] != '\0') {
		put_name(s, out, "");
		buf_putf(out, "%s\n", error);
	}
	free(error);
	put_reached(s, found, out);
}

static void
put_expected(const struct show *s, const json_t *o, struct buf *out)
{
	const json_t *targets = json_object_get(o, "targets");
	const json_t *addresses = json_object_get(o, "addresses");

	put_name(s, out, "Expected");
	if (json_array_size(targets) == 0)
		buf_puts(out, "dns.targets is not set: an answer by HTTP");
	else
		put_items(out, targets);
	if (json_array_size(addresses) > 0) {
		buf_puts(out, " (");
		put_items(out, addresses);
		buf_puts(out, ")");
	}
	buf_puts(out, "\n");
}

static void
put_ca(
    const struct show *s, const json_t *ca, const char *which, struct buf *out)
{
	bool allowed = json_is_true(json_object_get(ca, "allowed"));
	char *sentence = text_member(ca, "sentence");

	if (!json_is_object(ca)) {
		free(sentence);
		return;
	}
	put_name(s, out, "");
	buf_putf(out, "%s (", which);
	put_items(out, json_object_get(ca, "identities"));
	buf_puts(out, ") ");
	put_coloured(s, out, allowed ? COLOUR_GREEN : COLOUR_RED,
	    allowed ? "may issue" : "may not issue");
	buf_putf(out, "%s%s\n", sentence[0] != '\0' ? ": " : "", sentence);
	free(sentence);
}

static void
put_caa(const struct show *s, const json_t *caa, struct buf *out)
{
	const json_t *records = json_object_get(caa, "records"), *r;
	char *at = text_member(caa, "found_at"), *tag, *value;
	size_t i;

	put_name(s, out, "CAA");
	if (!json_is_object(caa))
		buf_puts(out, "not looked at (dns.caa)\n");
	else if (json_array_size(records) == 0)
		buf_puts(out, "no records\n");
	json_array_foreach (records, i, r) {
		if (i > 0)
			put_name(s, out, "");
		tag = text_member(r, "tag");
		value = text_member(r, "value");
		buf_putf(out, "%s CAA %" PRId64 " %s \"%s\"\n", at,
		    text_int_member(r, "flags"), tag, value);
		free(tag);
		free(value);
	}
	put_ca(s, json_object_get(caa, "ca"), "the CA", out);
	put_ca(s, json_object_get(caa, "second_ca"), "the second CA", out);
	free(at);
}

void
show_check(const struct show *s, const json_t *o, struct buf *out)
{
	char *name = text_member(o, "name"), *app = text_member(o, "app");
	char *challenge = text_member(o, "challenge");

	put_coloured(s, out, COLOUR_BOLD, name);
	if (app[0] != '\0')
		buf_putf(out, " (app %s)\n", app);
	else
		buf_puts(out, " (not registered)\n");
	put_verdict(s, o, out);
	put_name(s, out, "Challenge");
	buf_putf(out, "%s%s\n", challenge,
	    strcmp(challenge, "dns-01") == 0
		? ": where the name points does not matter"
		: "");
	put_found(s, json_object_get(o, "found"), out);
	put_expected(s, json_object_get(o, "expected"), out);
	put_caa(s, json_object_get(o, "caa"), out);
	free(name);
	free(app);
	free(challenge);
}

/* --- leader ---------------------------------------------------------------------- */

static void
put_time(const struct show *s, const json_t *o, const char *label,
    const char *key, struct buf *out)
{
	int64_t at = text_time_member(o, key);
	char when[TEXT_SPAN_MAX], text[STR_TIME_MAX];

	put_name(s, out, label);
	if (at == 0)
		buf_puts(out, "none yet\n");
	else
		buf_putf(out, "%s (%s)\n", str_time(text, at),
		    text_when(when, at, s->now));
}

static void
put_progress(const struct show *s, const json_t *p, struct buf *out)
{
	if (!json_is_object(p))
		return;
	put_name(s, out, "In hand");
	buf_putf(out, "%" PRId64 " domains, %" PRId64 " orders\n",
	    text_int_member(p, "in_hand"), text_int_member(p, "orders"));
	put_time(s, p, "Last commit", "last_commit_at", out);
}

static void
put_candidates(const struct show *s, const json_t *list, struct buf *out)
{
	const json_t *c;
	size_t i;

	put_name(s, out, "May lead");
	json_array_foreach (list, i, c) {
		char *id = text_member(c, "id");

		buf_putf(out, "%s%s%s", i > 0 ? ", " : "", id,
		    json_is_true(json_object_get(c, "live")) ? "" : " (away)");
		free(id);
	}
	buf_puts(out, json_array_size(list) > 0 ? "\n" : "no node\n");
}

void
show_leader(const struct show *s, const json_t *o, struct buf *out)
{
	char *node = text_member(o, "node"),
	     *last = text_member(o, "last_node");
	int64_t overdue = text_int_member(o, "overdue_s");
	char span[TEXT_SPAN_MAX];

	put_name(s, out, "Leader");
	if (node[0] == '\0') {
		put_coloured(s, out, COLOUR_RED, "none");
		buf_putf(out, "%s%s\n",
		    last[0] != '\0' ? "; the last was " : "", last);
	} else {
		buf_putf(out, "%s%s, epoch %" PRId64 "\n", node,
		    json_is_true(json_object_get(o, "self")) ? " (this node)"
							     : "",
		    text_int_member(o, "epoch"));
		put_time(s, o, "Since", "since", out);
		put_time(s, o, "Lease until", "until", out);
	}
	put_progress(s, json_object_get(o, "progress"), out);
	put_name(s, out, "Overdue");
	buf_putf(out, "%s\n",
	    overdue > 0 ? text_span(span, overdue * 1000) : "nothing");
	put_candidates(s, json_object_get(o, "candidates"), out);
	free(node);
	free(last);
}
