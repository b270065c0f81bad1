/*
 * Carries out operations of DNS providers over HTTPS: sends what a provider
 * asks, after the wait that it asks for, and gives it the replies.
 *
 * Each provider has connections of its own, so that a slow one delays neither
 * another nor the CA.  Changes of one name in one account take turns, of one
 * zone where the provider needs that.
 */
#ifndef SYNC_DIALOGUE_H
#define SYNC_DIALOGUE_H

#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"
#include "providers/provider.h"

struct event_base;
struct dialogues;

struct dialogues *dialogues_new(struct event_base *, const struct conf *);
void dialogues_free(struct dialogues *); /* what runs is not called back */

/*
 * Carry out an operation.  CREATE and REMOVE look for the zone first unless
 * the record says in which it is (zone and zone_id, from a journal); a zone
 * that is not there any more is looked for once again.  What can be cured by
 * another try is tried again for DIALOGUE_LIMIT_MS, or DIALOGUE_QUICK_MS when
 * nothing is changed; e is the provider's, with retry_ms.
 *
 * The record and its access are borrowed until fn is called, e being NULL when
 * it is done, or until it is cancelled.  Never calls fn from within.
 */
#define DIALOGUE_LIMIT_MS 180000
#define DIALOGUE_QUICK_MS 8000
typedef void dialogue_fn(void *arg, struct txt_record *, const struct err *e);
uint64_t dialogue_run(struct dialogues *, struct txt_record *, enum provider_op,
    dialogue_fn *, void *arg);

/* Stop at once; what was sent may have been done.  0 is nobody's id. */
void dialogue_cancel(struct dialogues *, uint64_t id);

#endif
