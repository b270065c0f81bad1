#include "sync/visible.h"

#include <stdio.h>
#include <string.h>

#include "common/str.h"

/* A sentence has 255 characters, and a name alone can have 253. */
#define SHOWN_MAX 72

struct wanted {
	char *const *value;
	size_t n;
};

/* What the servers that count come to; the first of each kind. */
struct tally {
	size_t showing, wrong, none, failing;
	const struct authority_server *lags, *fails, *other;
};

/* Foreign text, made fit for a sentence: printable, and not too long. */
static const char *
show(char out[static SHOWN_MAX], const char *text)
{
	char clean[4 * 256];
	int half = SHOWN_MAX / 2 - 2;
	size_t len;

	str_printable(clean, sizeof(clean), text, strlen(text));
	len = strlen(clean);
	if (len < SHOWN_MAX)
		memcpy(out, clean, len + 1);
	else
		snprintf(out, SHOWN_MAX, "%.*s...%.*s", half, clean, half,
		    clean + len - (size_t)half);
	return out;
}

static bool
has(const struct authority_server *s, const char *value)
{
	for (size_t i = 0; i < s->nvalues; i++)
		if (strcmp(s->value[i], value) == 0)
			return true;
	return false;
}

/* The first of the values that a server does not show; NULL: it shows all. */
static const char *
missing(const struct authority_server *s, const struct wanted *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (s->result != RESOLVE_OK || !has(s, w->value[i]))
			return w->value[i];
	return NULL;
}

/* The first that a server shows and that is not wanted. */
static const char *
stray(const struct authority_server *s, const struct wanted *w)
{
	for (size_t i = 0; i < s->nvalues; i++) {
		bool ours = false;

		for (size_t j = 0; j < w->n; j++)
			ours |= strcmp(s->value[i], w->value[j]) == 0;
		if (!ours)
			return s->value[i];
	}
	return NULL;
}

/* Does the name server answer at another of its addresses? */
static bool
speaks(const struct authority_answer *a, const char *host)
{
	for (size_t i = 0; i < a->nservers; i++)
		if (a->server[i].result != RESOLVE_FAIL &&
		    strcmp(a->server[i].host, host) == 0)
			return true;
	return false;
}

/* At least half of the name servers, by their names, show it all. */
static bool
half_show(const struct authority_answer *a, const struct wanted *w)
{
	size_t hosts = 0, showing = 0;

	for (size_t i = 0; i < a->nservers; i++) {
		bool first = true, any = false;

		for (size_t j = 0; j < a->nservers; j++) {
			if (strcmp(a->server[i].host, a->server[j].host) != 0)
				continue;
			first &= j >= i;
			any |= missing(&a->server[j], w) == NULL;
		}
		hosts += first;
		showing += first && any;
	}
	return showing > 0 && 2 * showing >= hosts;
}

static bool
counts(const struct authority_answer *a, const struct authority_server *s,
    const struct wanted *w)
{
	if (s->no_route)
		return false;
	if (!s->silent)
		return true;
	if (speaks(a, s->host))
		return false;
	return s->silent_ms < VISIBLE_SILENT_MS || !half_show(a, w);
}

static struct tally
count(const struct authority_answer *a, const struct wanted *w)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < a->nservers; i++) {
		const struct authority_server *s = &a->server[i];

		if (!counts(a, s, w))
			continue;
		if (missing(s, w) == NULL) {
			t.showing++;
			continue;
		}
		if (s->result == RESOLVE_FAIL) {
			t.failing++;
			if (t.fails == NULL)
				t.fails = s;
			continue;
		}
		if (t.lags == NULL)
			t.lags = s;
		if (s->nvalues > 0 && t.other == NULL)
			t.other = s;
		t.wrong += s->nvalues > 0;
		t.none += s->nvalues == 0;
	}
	return t;
}

/* "ns1.example.net (192.0.2.9)" */
static const char *
name_server(char out[static 2 * SHOWN_MAX], const struct authority_server *s)
{
	char host[SHOWN_MAX];

	show(host, s->host);
	if (s->address[0] != '\0')
		snprintf(out, 2 * SHOWN_MAX, "%s (%s)", host, s->address);
	else
		snprintf(out, 2 * SHOWN_MAX, "%s", host);
	return out;
}

static void
say_found(const struct authority_answer *a, const struct authority_server *s,
    const struct wanted *w, char *why, size_t size)
{
	char name[SHOWN_MAX], found[SHOWN_MAX], more[32] = "";
	const char *other = stray(s, w), *lacks = missing(s, w);

	show(name, a->name);
	if (other == NULL) {
		/* Who reads "expected" could put it where the other one is. */
		snprintf(why, size, "%s also needs the value %.*s, beside %s",
		    name, SHOWN_MAX, lacks, show(found, s->value[0]));
		return;
	}
	if (s->nvalues > 1)
		snprintf(more, sizeof(more), " and %zu more", s->nvalues - 1);
	snprintf(why, size, "found %s%s at %s, expected %.*s",
	    show(found, other), more, name, SHOWN_MAX, lacks);
}

/* Its owner was told another name, when there is a CNAME. */
static void
say_none(const struct authority_answer *a, char *why, size_t size)
{
	char name[SHOWN_MAX], fqdn[SHOWN_MAX];

	if (strcmp(a->name, a->fqdn) == 0)
		snprintf(why, size, "there is no TXT record at %s yet",
		    show(name, a->name));
	else
		snprintf(why, size,
		    "there is no TXT record at %s yet, where %s leads",
		    show(name, a->name), show(fqdn, a->fqdn));
}

/* Some have it: who does not? */
static void
say_lag(
    const struct authority_server *s, size_t lagging, char *why, size_t size)
{
	char server[2 * SHOWN_MAX], more[48] = "";

	if (lagging > 1)
		snprintf(more, sizeof(more), " and %zu more", lagging - 1);
	snprintf(why, size, "%s%s %s not have it yet", name_server(server, s),
	    more, lagging > 1 ? "do" : "does");
}

int
visible(const struct authority_answer *a, char *const value[], size_t n,
    char *why, size_t size)
{
	const struct wanted w = { value, n };
	char server[2 * SHOWN_MAX], name[SHOWN_MAX];
	struct tally t;

	why[0] = '\0';
	if (a->result != RESOLVE_OK) {
		str_printable(why, size, a->error, strlen(a->error));
		return 0;
	}
	t = count(a, &w);
	if (t.showing > 0 && t.wrong + t.none + t.failing == 0)
		return 1;
	if (t.showing > 0 && t.lags != NULL)
		say_lag(t.lags, t.wrong + t.none, why, size);
	else if (t.other != NULL)
		say_found(a, t.other, &w, why, size);
	else if (t.none > 0)
		say_none(a, why, size);
	else if (t.fails != NULL)
		snprintf(why, size, "%s %s", name_server(server, t.fails),
		    t.fails->error);
	else
		snprintf(why, size,
		    "no name server of %s can be reached from here",
		    show(name, a->zone));
	return 0;
}
