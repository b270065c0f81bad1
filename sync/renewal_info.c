#include "sync/renewal_info.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/ari.h"
#include "sync/ca.h"

struct question {
	LIST_ENTRY(question) link;
	struct renewal_info *ri;
	struct domain *d;
	struct ca *ca;
	uint64_t id;
	int nasked; /* of two certificates there are two windows */
	int nknown;
	struct ari ari;  /* the first of those that are known */
	int64_t poll_at; /* when to ask again */
	renewal_info_fn *fn;
	void *arg;
};

struct renewal_info {
	const struct conf *conf;
	struct ca *ca, *fallback;
	LIST_HEAD(, question) questions;
};

struct renewal_info *
renewal_info_new(const struct conf *conf, struct ca *ca, struct ca *fallback)
{
	struct renewal_info *ri = xcalloc(1, sizeof(*ri));

	ri->conf = conf;
	ri->ca = ca;
	ri->fallback = fallback;
	LIST_INIT(&ri->questions);
	return ri;
}

static void
question_free(struct question *q)
{
	LIST_REMOVE(q, link);
	ca_cancel(q->ca, q->id);
	free(q);
}

void
renewal_info_free(struct renewal_info *ri)
{
	if (ri == NULL)
		return;
	while (!LIST_EMPTY(&ri->questions))
		question_free(LIST_FIRST(&ri->questions));
	free(ri);
}

void
renewal_info_cancel(struct renewal_info *ri, const void *arg)
{
	struct question *q, *next;

	for (q = LIST_FIRST(&ri->questions); q != NULL; q = next) {
		next = LIST_NEXT(q, link);
		if (q->arg == arg)
			question_free(q);
	}
}

static struct ca *
ca_of(const struct renewal_info *ri, const char *directory)
{
	return ri->fallback != NULL &&
	               strcmp(ca_directory(ri->fallback), directory) == 0
	           ? ri->fallback
	           : ri->ca;
}

/* Of two windows the one whose second comes first. */
static void
keep(struct question *q, const struct ari *ari)
{
	const char *name = q->d->name;

	if (q->nknown++ == 0 || ari_pick(name, ari->start, ari->end) <
				    ari_pick(name, q->ari.start, q->ari.end))
		q->ari = *ari;
}

/*
 * Section 4.3.3: a failure changes nothing about the renewal.  With what only
 * one of two says it comes sooner, never later.
 */
static bool
take(const struct question *q, int64_t now)
{
	struct domain *d = q->d;
	const struct ari *ari = &q->ari;
	int64_t before = d->renew_at;
	char at[STR_TIME_MAX];

	if (q->nknown == 0 ||
	    (ari->start == d->ari_start && ari->end == d->ari_end) ||
	    (q->nknown < q->nasked &&
		ari_pick(d->name, ari->start, ari->end) >= before))
		return false;
	ari_take(d, ari, now);
	log_info("domain=%s renew_at=%s: as the CA suggests%s%s", d->name,
	    str_time(at, d->renew_at),
	    d->explanation_url[0] != '\0' ? ", " : "", d->explanation_url);
	return d->renew_at != before;
}

static void ask(struct question *, bool second);

static void
finish(struct question *q)
{
	renewal_info_fn *fn = q->fn;
	void *owner = q->arg;
	bool moved = take(q, loop_wall_ms());

	q->d->ari_poll_at = q->poll_at;
	question_free(q);
	fn(owner, moved);
}

static void
answered(void *arg, const struct reply *r, const struct err *e)
{
	struct question *q = arg;
	const struct conf *conf = q->ri->conf;
	const struct domain *d = q->d;
	int64_t asked, poll_at;
	struct ari ari;
	struct err why;

	q->id = 0;
	if (e == NULL) {
		asked = r->retry_ms;
		if (ari_parse(&ari, r->body, &why) == 0)
			keep(q, &ari);
		else
			log_warn("domain=%s ca=%s: %s", d->name,
			    ca_directory(q->ca), why.text);
	} else {
		asked =
		    e->retry_ms > 0 || e->kind != ERR_AGAIN ? e->retry_ms : 1;
		log_debug(
		    "domain=%s renewal information: %s", d->name, e->text);
	}
	poll_at = ari_next_poll(loop_wall_ms(), asked,
	    conf->acme.ari_poll_min_s, conf->acme.ari_poll_max_s);
	if (q->nasked == 1 || poll_at < q->poll_at)
		q->poll_at = poll_at;
	if (q->nasked == 1 && d->ari_id_second[0] != '\0')
		ask(q, true);
	else
		finish(q);
}

static void
ask(struct question *q, bool second)
{
	const struct domain *d = q->d;

	q->nasked++;
	q->ca = ca_of(q->ri, ari_ca(d, second));
	q->id = ca_renewal_info(
	    q->ca, second ? d->ari_id_second : d->ari_id, answered, q);
}

void
renewal_info_ask(
    struct renewal_info *ri, struct domain *d, renewal_info_fn *fn, void *arg)
{
	struct question *q = xcalloc(1, sizeof(*q));

	q->ri = ri;
	q->d = d;
	q->fn = fn;
	q->arg = arg;
	LIST_INSERT_HEAD(&ri->questions, q, link);
	ask(q, false);
}
