/*
 * What the intake*.c files share: the domains in hand.  intake.c takes them and
 * finds out what they need, intake_order.c gets certificates for them,
 * intake_record.c waits for TXT records that people make, intake_canary.c until
 * one node serves a certificate, intake_proof.c until all do, and intake_away.c
 * calls back who found no room.  Private to the intake.
 */
#ifndef SYNC_INTAKE_IMPL_H
#define SYNC_INTAKE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/table.h"
#include "sync/admission.h"
#include "sync/intake.h"
#include "sync/lane.h"
#include "sync/spread.h"
#include "sync/store.h"

#define LANE_MAX 512 /* that wait for an order, in each lane */

struct away;
struct rollout;
struct waiting;

/* A domain in hand, from being claimed to its next due time being written. */
struct work {
	UT_hash_handle hh;
	struct intake *in;
	char name[DOMAIN_NAME_MAX];
	struct domain d;  /* without the fields we do not know */
	bool again;       /* kicked while in hand: look once more */
	bool waits;       /* for DNS, and costs nothing but memory */
	char *not_second; /* why the second CA may not issue; NULL: it may */
	struct rollout *rollout; /* intake_canary.c */
	struct lane_item lane;
};

struct intake {
	struct event_base *base;
	const struct conf *conf;
	const struct skew *skew;
	const struct platform *platform;
	struct revokes *revokes;
	struct dns01 *dns01;
	struct store *store;
	struct checks *checks;
	struct driver *driver;
	struct ca *ca;
	struct roster *roster;
	struct renewal_info *renewal_info;
	int64_t epoch; /* 0: not leading */
	bool begins;   /* has claimed nothing yet in this epoch */
	int64_t committed_at;
	struct work *table;
	size_t waits; /* how many of them do */
	size_t crowd; /* in hand at most, since there was none */
	struct event *tick;
	struct lanes lanes;
	struct admission admission; /* of those for whom they have no room */
	struct away *away[LANES];   /* they themselves, by lane */
	size_t naway;
	struct spread spread; /* of renewals that are not urgent */
	/* Names waiting for proof, by the generation they wait for. */
	struct waiting *waiting;
	struct gens acked; /* the highest that nodes have told */
	uint64_t moved;    /* domains that were put down, or issued */
	int claiming;      /* partitions that are asked for what is due */
};

/* Take a name in hand, unless it is, and see what it needs. */
void intake_take(struct intake *, const char *name);

/* Let those order whose turn it is. */
void intake_next_orders(struct intake *);

/*
 * No room in that lane: remember the name, which it is not yet; call back for
 * whom there is room, after an order has ended.
 */
void intake_send_away(struct intake *, enum lane, const char *name);
void intake_call_back(struct intake *);
void intake_forget_away(struct intake *, const char *name);
void intake_forget_all_away(struct intake *);

/* How long before a custom certificate's end the managed one is made. */
int64_t intake_custom_before_ms(const struct intake *);

/* The nodes' acknowledgements that are waited for. */
void intake_wait_for_proof(struct intake *, const char *name, int64_t gen);
void intake_forget_waiting(struct intake *, const char *name);
void intake_forget_all_waiting(struct intake *);

/* A certificate is needed: DNS first, then the order. */
void work_certificate(struct work *);

/* A person is to make a TXT record: is it there?  Then the order goes on. */
void work_record(struct work *);

/* The order waits for the record in d; why is what is there instead. */
void work_take_record(struct work *, const struct domain *d, const char *why);

/* Of what a person had to do for the order nothing is left. */
void work_forget_record(struct domain *);

/* Its order only waits, or goes on: others may have its place. */
void work_rests(void *arg, bool resting);

/* A certificate is on its way: do the nodes serve it? */
void work_proof(struct work *);

/* A certificate is staged: is it proven by its canary? */
void work_canary(struct work *);

/* Change the status; true when people will see a difference. */
bool work_say(struct domain *, enum domain_status, const char *reason);

/* status, but a certificate that still serves is not talked down. */
enum domain_status work_unless_in_use(
    const struct domain *, enum domain_status);

/* Put the domain down until next_at; event: its type, or NULL. */
void work_put_down(struct work *, int64_t next_at, const char *event);

/* The record was written, or not: the domain leaves our hand. */
void work_written(void *arg, const struct err *);
void work_free(struct work *);

#endif
