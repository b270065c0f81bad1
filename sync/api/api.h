/*
 * The admin API: HTTP and JSON on a unix socket, whose permissions are the
 * authorization.  One file per resource; api.c has the server and the routes.
 */
#ifndef SYNC_API_API_H
#define SYNC_API_API_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/rds.h"
#include "sync/hold.h"
#include "sync/store.h"

struct event_base;
struct api;

/* What the API shows that is not in Redis; filled by main when asked. */
struct api_state {
	bool redis_up;
	bool leader; /* this node is */
	int64_t epoch;
	int haproxies, haproxies_up;
	char error[256];
	struct hold_status hold;
	int64_t webhook_lag_ms;
	bool wants_ends; /* asked for: each certificate is looked at */
	struct hold_ends ends;
};
typedef void api_state_fn(void *arg, struct api_state *);

/*
 * Serve on conf->api.socket (mode 0660 with socket_group, else 0600); a stale
 * socket file is replaced, a live one is ERR_CONFIG.  rds_conf is for the
 * connections of event followers.
 */
struct api *api_new(struct event_base *, const struct conf *, struct store *,
    const struct rds_conf *, api_state_fn *, void *arg, struct err *);

/* Who makes DNS checks for those who ask. */
struct checks;
void api_checks(struct api *, struct checks *);

/* Who knows what every node shows. */
struct witness;
void api_witness(struct api *, struct witness *);

/* The key ring, of which it tells what is in it. */
struct seal_ring;
void api_ring(struct api *, const struct seal_ring *);

/*
 * Calls in flight end without an answer: the loop must not run again before
 * store_free(), for the store would answer to what is gone.
 */
void api_free(struct api *);

#endif
