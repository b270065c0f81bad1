#include "sync/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void
question_init(struct question *q, enum dns_type type, const char *name)
{
	memset(q, 0, sizeof(*q));
	q->type = type;
	q->level = name;
	q->result = RESOLVE_NONE;
}

void
question_clear(struct question *q)
{
	free(q->reply);
	q->reply = NULL;
}

static const char *
finish(struct question *q, enum resolve_result result)
{
	q->done = true;
	q->result = result;
	return NULL;
}

void
question_fail(struct question *q, const char *why)
{
	snprintf(q->error, sizeof(q->error), "%s of %.60s: %.57s",
	    dns_type_name(q->type), q->level, why);
	finish(q, RESOLVE_FAIL);
}

/* Nothing at this level: a CAA question goes on with the parent's name. */
static const char *
climb(struct question *q)
{
	const char *dot = strchr(q->level, '.');

	if (q->type != DNS_CAA || dot == NULL)
		return finish(q, RESOLVE_NONE);
	q->level = dot + 1;
	if (q->reply != NULL)
		q->reply->ncnames = 0;
	return q->level;
}

const char *
question_got(
    struct question *q, bool exists, const uint8_t *message, size_t len)
{
	struct dns_reply *r = q->reply;
	struct err e;
	size_t before;

	if (len == 0)
		return climb(q);
	if (r == NULL)
		r = q->reply = xcalloc(1, sizeof(*r));
	before = r->ncnames;
	if (dns_reply_add(r, before > 0 ? r->cname[before - 1] : q->level,
		q->type, message, len, &e) == -1) {
		question_fail(q, e.text);
		return NULL;
	}
	if (dns_reply_found(r))
		return finish(q, RESOLVE_OK);
	/* The server knows the name, but has not looked where it leads. */
	if (exists && r->ncnames > before && !r->final)
		return r->cname[r->ncnames - 1];
	return climb(q);
}

static void
fill_addresses(struct resolve_answer *a, const struct question *q)
{
	const struct dns_reply *r = q->reply;

	if (r == NULL)
		return;
	if (a->ncnames == 0) {
		memcpy(a->cname, r->cname, sizeof(a->cname));
		a->ncnames = r->ncnames;
	}
	/* Of more than fit the first are as good as any to judge by. */
	for (size_t i = 0; q->result == RESOLVE_OK && i < r->naddresses; i++)
		if (a->naddresses < RESOLVE_ADDRESSES_MAX)
			memcpy(a->address[a->naddresses++], r->address[i],
			    sizeof(a->address[0]));
}

void
question_fill(struct resolve_answer *out, const struct question *a,
    const struct question *aaaa, const struct question *caa)
{
	const struct question *all[] = { a, aaaa, caa };

	memset(out, 0, sizeof(*out));
	out->a = a->result;
	out->aaaa = aaaa->result;
	out->caa = caa->result;
	for (size_t i = 0; i < 3 && out->error[0] == '\0'; i++)
		memcpy(out->error, all[i]->error, sizeof(out->error));
	fill_addresses(out, a);
	fill_addresses(out, aaaa);
	if (caa->result != RESOLVE_OK)
		return;
	memcpy(out->caas, caa->reply->caas, sizeof(out->caas));
	out->ncaas = caa->reply->ncaas;
	snprintf(out->caa_name, sizeof(out->caa_name), "%s", caa->level);
}
