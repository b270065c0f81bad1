/* As the canary: a certificate is proven here before any other node takes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/cert.h"
#include "sync/hold_impl.h"
#include "sync/keep.h"
#include "sync/skew.h"

/* What was before stays known, however many trials follow each other. */
static void
begin(struct held *x)
{
	if (x->trial == NULL) {
		x->trial = xcalloc(1, sizeof(*x->trial));
		memcpy(x->trial->before, x->sha1, sizeof(x->sha1));
		x->trial->not_after = x->not_after;
	}
	x->trial->over = x->trial->refused = false;
}

/* No generation waits for a trial. */
static void
leave_generations(struct held *x, int partition)
{
	held_settle(x);
	x->partition = (uint8_t)partition;
	x->gen = 0;
	held_unsettle(x);
}

void
hold_try(struct hold *h, const char *name, const void *bundle, size_t len,
    int partition)
{
	const struct hold_entry entry = { .partition = partition };
	struct held *x = held_find(h, name);
	struct cert cert = { 0 }, second = { 0 };
	struct err e = { 0 };

	if (x == NULL)
		x = held_new(h, name);
	begin(x);
	leave_generations(x, partition);
	if (skew_implausible(h->skew, loop_wall_ms(), loop_now_ms())) {
		err_set(&e, ERR_AGAIN,
		    "the clock of this node is wrong: nothing is replaced");
		held_failed(x, &e);
	} else if (keep_trial(h->ring, h->files, name, bundle, len, &cert,
		       &second, &e) == -1) {
		x->trial->refused = e.kind == ERR_REFUSED;
		held_failed(x, &e);
	} else {
		fault_point("C1");
		log_info("domain=%s sha1=%s this node is its canary", name,
		    cert.sha1);
		hold_want_crt_list(h, x->sha1[0] == '\0');
		held_set_sha1(x, cert.sha1);
		x->not_after = cert.not_after;
		x->proven_before = false;
		held_push(x);
		hold_take_second(h, name, &second, &entry);
	}
	cert_clear(&cert);
	cert_clear(&second);
}

void
hold_try_end(struct hold *h, const char *name)
{
	struct held *x = held_find(h, name);

	if (x != NULL && x->trial != NULL)
		x->trial->over = true;
}

int
hold_trial(const struct hold *h, const char *name, char *why, size_t size)
{
	const struct held *x = held_find(h, name);

	snprintf(
	    why, size, "%s", x != NULL && x->error != NULL ? x->error : "");
	if (x == NULL || x->trial == NULL)
		return 0;
	if (x->state == HELD_SERVED)
		return 1;
	return x->state == HELD_FAILED && x->trial->refused ? -1 : 0;
}
