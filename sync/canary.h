/*
 * How is the rollout of a certificate that one node has to prove first?
 *
 * Pure: a judgement over what is staged and the nodes' heartbeats.
 */
#ifndef SYNC_CANARY_H
#define SYNC_CANARY_H

#include <stddef.h>
#include <stdint.h>

#include "sync/store.h"
#include "sync/store_canary.h"

enum canary_verdict {
	CANARY_WAIT = 0, /* until at */
	CANARY_ASK,      /* node is to prove it */
	CANARY_PROMOTE,  /* it is proven, or there is nobody to prove it */
	CANARY_STOP,     /* why: it is not to be served */
};

struct canary_rules {
	const char *name;     /* of the domain */
	const char *favoured; /* node by the settings, or "" */
	int64_t limit_ms;     /* that a node has to prove it */
	int64_t look_ms;      /* between two looks at whether it lives */
	int64_t now;
};

#define CANARY_TRIED_MAX 512
struct canary_next {
	char node[64];
	char why[256];
	char tried[CANARY_TRIED_MAX]; /* that have not proven it, in time */
	int64_t at;
};

enum canary_verdict canary_judge(const struct canary_rules *,
    const struct store_staged *, const struct store_node *, size_t n,
    struct canary_next *);

#endif
