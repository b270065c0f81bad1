/*
 * What the dns01*.c files share: dns01.c makes records and waits until they are
 * seen, dns01_made.c keeps the journal of those that were made and removes them.
 * Private to them.
 */
#ifndef SYNC_DNS01_IMPL_H
#define SYNC_DNS01_IMPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/table.h"
#include "providers/provider.h"
#include "sync/dns01.h"
#include "sync/txt.h"

struct access;
struct event;

/* A record that is in the journal. */
struct made {
	UT_hash_handle hh;
	char key[TXT_KEY_MAX];
	struct dns01 *all;
	struct txt txt;
	bool presented;        /* somebody makes or watches it right now */
	bool removing;         /* it is to go */
	bool perhaps;          /* its provider was asked to make it */
	bool as_made;          /* removed with the variables it was made with */
	struct txt_record rec; /* of the operation under way */
	struct access *access; /* of a removal under way */
	uint64_t dialogue;
	struct event *timer;
	unsigned int tries;
};

struct dns01 {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct authorities *authorities;
	struct accesses *accesses;
	struct dialogues *dialogues;
	LIST_HEAD(, presence) presences;
	struct made *made;
	struct event *sweep;
};

/* The journal's entry for a record; not written yet when it is a new one. */
struct made *made_get(struct dns01 *, const struct txt *);

/* Make or watch it; false while it is being removed. */
bool made_take(struct made *);

/* Values of an earlier order of the domain are of no use: remove them. */
void made_keep_only(
    struct dns01 *, const char *domain, char *const *value, size_t n);

/* Remove it, in the background. */
void made_remove(struct made *);

/* It was never made: only its entry has to go. */
void made_forget(struct made *);

/* Read the journal, and see now and then whether anything was left. */
void made_start(struct dns01 *);
void made_stop(struct dns01 *);

#endif
