/* Intake: a certificate on its way to the nodes, until all of them serve it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/intake_impl.h"
#include "sync/need.h"
#include "sync/roster.h"

#define PROOF_MS 10000 /* ask the nodes again, if none reports */

/* A name that waits for proof, and the generation it waits for. */
struct waiting {
	UT_hash_handle hh;
	char name[DOMAIN_NAME_MAX];
	int64_t gen;
};

void
intake_wait_for_proof(struct intake *in, const char *name, int64_t gen)
{
	struct waiting *x;

	HASH_FIND_STR(in->waiting, name, x);
	if (x == NULL) {
		x = xcalloc(1, sizeof(*x));
		memcpy(x->name, name, strlen(name) + 1);
		HASH_ADD_STR(in->waiting, name, x);
	}
	x->gen = gen;
}

void
intake_forget_waiting(struct intake *in, const char *name)
{
	struct waiting *x;

	HASH_FIND_STR(in->waiting, name, x);
	if (x != NULL) {
		HASH_DEL(in->waiting, x);
		free(x);
	}
}

void
intake_forget_all_waiting(struct intake *in)
{
	struct waiting *x, *next;

	HASH_ITER (hh, in->waiting, x, next) {
		HASH_DEL(in->waiting, x);
		free(x);
	}
}

static void
say_served(struct domain *d, const char *by)
{
	char reason[sizeof(d->reason)], at[STR_TIME_MAX];

	if (d->custom_sha1[0] == '\0') {
		work_say(d, DOMAIN_IN_USE, by);
		return;
	}
	snprintf(reason, sizeof(reason),
	    "the certificate uploaded by the owner is served until %s",
	    str_time(at, d->custom_not_after));
	work_say(d, DOMAIN_NOT_USED, reason);
}

static void
got_nodes(
    void *arg, const struct store_node *node, size_t n, const struct err *e)
{
	struct work *w = arg;
	int64_t now = loop_wall_ms();
	struct domain *d = &w->d;
	char why[sizeof(d->reason)];
	bool news;
	int proven;

	if (e != NULL) {
		log_warn("domain=%s nodes: %s", w->name, e->text);
		work_free(w);
		return;
	}
	proven = need_proven(d, node, n, why, sizeof(why));
	if (proven == 1) {
		d->proven = d->version;
		w->again = false; /* whatever was told meanwhile */
		say_served(d, why);
		intake_forget_waiting(w->in, w->name);
		work_put_down(w,
		    need_next_at(d, now, intake_custom_before_ms(w->in)),
		    "status");
		return;
	}
	if (proven == -1)
		snprintf(d->last_error, sizeof(d->last_error), "%s", why);
	news = work_say(d, work_unless_in_use(d, DOMAIN_CREATING), why);
	work_put_down(w, loop_wall_ms() + PROOF_MS,
	    !news          ? NULL
	    : proven == -1 ? "not_served"
			   : "status");
}

void
work_proof(struct work *w)
{
	/* Before they are asked: one that answers may tell us meanwhile. */
	intake_wait_for_proof(w->in, w->name, w->d.gen);
	roster_ask(w->in->roster, got_nodes, w);
}

/* A canary has news of a name; others' names are not begun with. */
static void
look_again(struct intake *in, const char *name)
{
	char clean[DOMAIN_NAME_MAX];
	struct work *w;
	struct err e;

	if (domain_normalise(name, clean, &e) == -1)
		return;
	HASH_FIND_STR(in->table, clean, w);
	if (w != NULL)
		w->again = true;
	else
		intake_take(in, clean);
}

void
intake_ack(struct intake *in, const char *text)
{
	const char *space = strchr(text, ' ');
	struct waiting *x, *next;
	struct work *w;
	struct gens gens;

	if (in->epoch == 0 || space == NULL)
		return;
	if (str_has_prefix(text, "trial ")) {
		look_again(in, space + 1);
		return;
	}
	if (gens_parse(&gens, space + 1) == -1)
		return;
	gens_raise(&in->acked, &gens);
	HASH_ITER (hh, in->waiting, x, next) {
		if (!gens_reached(&gens, x->name, x->gen))
			continue;
		HASH_FIND_STR(in->table, x->name, w);
		if (w != NULL)
			w->again = true;
		else
			intake_take(in, x->name);
	}
}
