/* What others ask: what this node serves, and how far it is. */
#include <stdio.h>
#include <string.h>

#include "common/domain.h"
#include "haproxy/files.h"
#include "sync/hold_impl.h"

const char *
hold_sha1(const struct hold *h, const char *name)
{
	const struct held *x = held_find(h, name);

	if (x == NULL)
		return "";
	if (x->trial != NULL)
		return x->trial->over ? "" : x->trial->before;
	/* It is to be taken again, until it can be kept. */
	return x->unkept ? "" : x->sha1;
}

int64_t
hold_applied(const struct hold *h, int partition, int64_t seen)
{
	return lowest_applied(&h->lowest[partition], seen);
}

static void
add_error(struct hold_status *s, const struct held *x, const char *error)
{
	size_t at = strlen(s->errors);
	char name[DOMAIN_NAME_MAX];

	files_domain(x->name, name);
	if (error != NULL &&
	    at + strlen(name) + strlen(error) + 4 < sizeof(s->errors))
		snprintf(s->errors + at, sizeof(s->errors) - at, "%s%s=%s",
		    at > 0 ? "; " : "", name, error);
}

/* "name=SHA1; name=SHA1": what is shown where another is wanted. */
static void
add_other(struct hold_status *s, const struct held *x)
{
	size_t at = strlen(s->differs);
	char name[DOMAIN_NAME_MAX];

	files_domain(x->name, name);
	if (x->other != NULL &&
	    at + strlen(name) + strlen(x->other) + 4 < sizeof(s->differs))
		snprintf(s->differs + at, sizeof(s->differs) - at, "%s%s=%s",
		    at > 0 ? "; " : "", name, x->other);
}

static void
add_target(struct hold_status *s, const struct target *t)
{
	struct push_status push;
	size_t at;

	push_status(t->push, &push);
	s->haproxies++;
	if (!push.up)
		return;
	at = strlen(s->versions);
	snprintf(s->versions + at, sizeof(s->versions) - at, "%s%s",
	    at > 0 ? "," : "", push.version);
	at = strlen(s->pids);
	snprintf(s->pids + at, sizeof(s->pids) - at, "%s%d", at > 0 ? "," : "",
	    push.pid);
	s->haproxies_up++;
}

static size_t
seconds(const struct hold *h)
{
	size_t n = 0;

	for (int i = 0; i < HELD_STATES; i++)
		n += h->count[1][i];
	return n;
}

void
hold_status(const struct hold *h, struct hold_status *s)
{
	const struct held *x = held_find(h, DEFAULT_NAME);

	memset(s, 0, sizeof(*s));
	s->wanted = HASH_COUNT(h->names) - (x != NULL) - seconds(h);
	s->served =
	    h->count[0][HELD_SERVED] - (x != NULL && x->state == HELD_SERVED);
	s->failed = h->count[0][HELD_FAILED] + h->count[1][HELD_FAILED];
	for (x = s->failed + h->nunkept > 0 ? h->names : NULL; x != NULL;
	     x = x->hh.next)
		if (x->state == HELD_FAILED) {
			add_error(s, x, x->error);
			add_other(s, x);
		} else if (x->unkept) {
			s->failed++;
			add_error(s, x, h->unkept_why);
		}
	digest_text(&h->served, s->digest);
	for (unsigned int i = 0; i < h->ntargets; i++)
		add_target(s, &h->target[i]);
}

/* --- when they end --------------------------------------------------------------- */

#define DAY_MS INT64_C(86400000)
const int64_t hold_end_ms[HOLD_ENDS] = { 0, DAY_MS, 3 * DAY_MS, 7 * DAY_MS,
	14 * DAY_MS, 30 * DAY_MS, 60 * DAY_MS };

void
hold_ends(const struct hold *h, int64_t now, struct hold_ends *ends)
{
	*ends = (struct hold_ends){ 0 };
	for (const struct held *x = h->names; x != NULL; x = x->hh.next) {
		if (x->sha1[0] == '\0' || held_is_default(x))
			continue;
		for (size_t i = 0; i < HOLD_ENDS; i++)
			ends->within[i] += x->not_after - now <= hold_end_ms[i];
		ends->n++;
		ends->sum_ms += (double)(x->not_after - now);
		if (ends->soonest == 0 || x->not_after < ends->soonest)
			ends->soonest = x->not_after;
	}
}
