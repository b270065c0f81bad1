/*
 * The inside of the driver, shared by sync/driver.c (what an order asks for),
 * sync/driver_dns.c (its TXT records), sync/driver_ca.c (at which CA),
 * sync/driver_wait.c (when it waits),
 * sync/driver_pair.c (two certificates for one name) and sync/driver_end.c (what
 * becomes of it).
 */
#ifndef SYNC_DRIVER_IMPL_H
#define SYNC_DRIVER_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/loop.h"
#include "sync/driver.h"
#include "sync/key.h"
#include "sync/limits.h"
#include "sync/order.h"
#include "sync/pace.h"
#include "sync/store.h"

struct cert;
struct event;

/* A domain whose order is being worked on. */
struct run {
	LIST_ENTRY(run) link;
	struct driver *driver;
	struct ca *ca; /* at which the order is */
	driver_fn *fn;
	void *arg;
	const struct domain *d; /* whoever wants it has it, or own */
	struct domain *own;     /* as it will be; NULL: as it is */
	const char *not_second; /* why the second CA may not issue; or "" */
	struct order order;
	struct ticket ticket;
	bool spent;    /* for this newOrder */
	char *key_pem; /* the certificate's; "" until needed */
	/* A new key: is it on its way to the disk; and into the journal? */
	bool key_flushing, key_journaling;
	/* Of two certificates the first, as a bundle; empty while there is none. */
	struct buf first;
	char *first_ca; /* the directory of its CA */
	struct event *timer;
	struct ask ask; /* payload is ours until it is sent */
	uint64_t posting;
	bool resting; /* it only waits */
	int64_t deadline;
	int tries;                 /* since the order last came further... */
	enum order_state furthest; /* ...than ever before */
	bool url_saved;
	bool first_look; /* after a pause of our choice */
	char *token;     /* that is published, or NULL */
	struct err *why; /* there will be no certificate; or NULL */
};

struct driver {
	struct event_base *base;
	const struct conf *conf;
	const struct seal_ring *ring;
	struct store *store;
	struct ca *ca, *fallback; /* fallback may be NULL */
	struct challenges *challenges;
	struct limits *limits;
	struct outbox *outbox; /* may be NULL */
	struct dns01 *dns01;
	driver_waits_fn *waits;
	struct keymaker *keymaker;
	struct pace pace[ORDER_STATES]; /* of those that wait */
	driver_rest_fn *rests;
	LIST_HEAD(, run) runs;
};

/*
 * What is known of the domain, to be changed: until the run is over whoever wants
 * it keeps the record as it was.
 */
struct domain *run_own(struct run *);

/* Begin anew, with nothing known of an order. */
void run_new_order(struct run *);

/* The CA that an order is at; the first one when there is no order yet. */
struct ca *run_ca_of(const struct driver *, const char *url);

/* From now on at this CA: what is wanted of an order is in its settings. */
void run_use_ca(struct run *, struct ca *);

/* What the CA counts of the order: to be spent before newOrder. */
void run_new_ticket(struct run *, int64_t journal_ms);

/*
 * Before newOrder, which may be asked again and again: once the CA's window is
 * over, the renewal counts.
 */
void run_check_window(struct run *);

/* No pause reaches beyond the moment from which the second CA may be used. */
int64_t run_until_fallback(const struct run *, int64_t pause);

/* Go to the second CA, if the first is away and it is time; true when so. */
bool run_try_fallback(struct run *, const struct err *);

/* Write the journal, then go on. */
void run_journal(struct run *, const char *expected, const char *step,
    const char *url, const char *key_pem);
void run_unpublish(struct run *);

/* TXT records: to be there, or not needed any more. */
void run_present(struct run *);
void run_withdraw(struct run *);

/*
 * A journal that tells of a key, or should: what the outbox has is taken from
 * there.  True: the order goes on with it.
 */
bool run_take_key(struct run *, const char *url);

/* There may be a certificate whose key nobody has: another order. */
bool run_key_is_lost(const struct run *);

/* What was asked for, other than a request, is done. */
void run_done(struct run *);

/* Do what the order asks for next. */
void run_advance(struct run *);

/* Do fn after a pause; a request was sent; its answer is there. */
void run_wait(struct run *, int64_t pause_ms, loop_fn *);
void run_asked(struct run *);
void run_answered(struct run *);

/* What no CA means to say: an answer cut short, a page of some proxy. */
bool run_nonsense(const struct err *);

/* The same once more, after a pause; false when that has no sense. */
bool run_try_again(struct run *, const struct err *);

/* What is committed: this certificate, and the first one if there are two. */
int run_pack(
    struct run *, const struct cert *, struct buf *bundle, struct err *);

/* What the record says of a certificate, and that this CA has issued it. */
void run_describe(struct run *, const struct cert *, const char *ca);

/* Two are wanted, and this is the first: keep its bundle, order the other. */
bool run_wants_second(const struct run *);
void run_order_second(struct run *, const struct buf *bundle);

/* Take the first out of a journal; false when it is too old by now. */
bool run_resume_first(
    struct run *, const void *bundle, size_t len, const char *ca);

/* The second order is given up, but not the first certificate. */
void run_keep_first(struct run *, store_fn *);

/* The kind of the key that is wanted next. */
enum key_type run_key_type(const struct run *);

/* The order is done: check what the CA sent, and commit it. */
void run_finish(struct run *);

/* There will be no certificate; the run ends. */
void run_fail(struct run *, const struct err *);

/* Tell whoever wanted it, and free the run. */
void run_tell(struct run *, const struct err *);

#endif
