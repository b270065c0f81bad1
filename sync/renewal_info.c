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

/* Take the answer into the record; true when the renewal is at another time. */
static bool
take(struct domain *d, const struct reply *r, int64_t now)
{
	int64_t before = d->renew_at;
	char at[STR_TIME_MAX];
	struct ari ari;
	struct err e;

	if (ari_parse(&ari, r->body, &e) == -1) {
		log_warn("domain=%s ca=%s: %s", d->name, d->ca, e.text);
		return false;
	}
	if (ari.start == d->ari_start && ari.end == d->ari_end)
		return false;
	ari_take(d, &ari, now);
	log_info("domain=%s renew_at=%s: as the CA suggests%s%s", d->name,
	    str_time(at, d->renew_at),
	    d->explanation_url[0] != '\0' ? ", " : "", d->explanation_url);
	return d->renew_at != before;
}

static void
answered(void *arg, const struct reply *r, const struct err *e)
{
	struct question *q = arg;
	const struct conf *conf = q->ri->conf;
	struct domain *d = q->d;
	renewal_info_fn *fn = q->fn;
	void *owner = q->arg;
	int64_t now = loop_wall_ms(), asked = 0;
	bool moved = false;

	q->id = 0;
	question_free(q);
	if (e == NULL) {
		asked = r->retry_ms;
		moved = take(d, r, now);
	} else {
		/* Section 4.3.3: a failure changes nothing about the renewal. */
		asked =
		    e->retry_ms > 0 || e->kind != ERR_AGAIN ? e->retry_ms : 1;
		log_debug(
		    "domain=%s renewal information: %s", d->name, e->text);
	}
	d->ari_poll_at = ari_next_poll(
	    now, asked, conf->acme.ari_poll_min_s, conf->acme.ari_poll_max_s);
	fn(owner, moved);
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
	q->ca = ri->fallback != NULL &&
	                strcmp(ca_directory(ri->fallback), d->ca) == 0
	            ? ri->fallback
	            : ri->ca;
	LIST_INSERT_HEAD(&ri->questions, q, link);
	q->id = ca_renewal_info(q->ca, d->ari_id, answered, q);
}
