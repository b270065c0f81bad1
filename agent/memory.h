/*
 * What the agent knows about tokens: one table, and three lists in the order
 * in which entries came, which is also the order in which they expire.
 *
 *	ASKED  Redis was asked, connections wait    at most max_waiting
 *	FOUND  the key authorization is known       cache_max, oldest leaves
 *	NONE   Redis had none a moment ago          NONE_MAX, oldest leaves
 *
 * What strangers ask for can fill NONE and ASKED only: it never pushes a
 * challenge out.  Pure: time and randomness are passed in, Redis is lookup.c's.
 */
#ifndef AGENT_MEMORY_H
#define AGENT_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agent/keyauth.h"

#define MEMORY_NONE_MAX 4096
#define MEMORY_FOUND_MS (3600 * 1000)

enum memory_state {
	MEMORY_ASKED = 0,
	MEMORY_FOUND,
	MEMORY_NONE,
	/* must stay last */
	MEMORY_STATES
};

/* One token; text is the token, and in FOUND the whole key authorization. */
struct memory_entry {
	LIST_ENTRY(memory_entry) chain; /* of its bucket */
	TAILQ_ENTRY(memory_entry) next; /* of its state */
	void *asked;                    /* ASKED: lookup.c's, who waits */
	int64_t until_ms;               /* FOUND, NONE */
	uint32_t hash;
	uint8_t state; /* enum memory_state */
	uint8_t token_len;
	char text[];
};

struct memory {
	LIST_HEAD(memory_chain, memory_entry) * buckets;
	uint32_t mask; /* of a hash: number of buckets - 1 */
	uint64_t secret[2];
	TAILQ_HEAD(memory_list, memory_entry) list[MEMORY_STATES];
	LIST_HEAD(, memory_entry) spare; /* a few, to be used again */
	unsigned int nspare;
	unsigned int n[MEMORY_STATES];
	unsigned int max[MEMORY_STATES];
	int64_t ttl_ms[MEMORY_STATES];
};

struct memory_conf {
	unsigned int asked_max;
	unsigned int found_max;
	int64_t none_ttl_ms;
	uint64_t secret[2]; /* random: nobody can aim at one bucket */
};
void memory_init(struct memory *, const struct memory_conf *);
void memory_clear(struct memory *);

/* The entry of a token that has not expired, or NULL. */
struct memory_entry *memory_find(
    struct memory *, const char *token, size_t token_len, int64_t now_ms);

/* A new entry in ASKED for a token that has none, or NULL: too many wait. */
struct memory_entry *memory_ask(
    struct memory *, const char *token, size_t token_len);

/*
 * An entry in ASKED is known now: keyauth was checked by keyauth_is_for() and
 * is copied, NULL stands for "there is none".
 */
void memory_set(struct memory *, struct memory_entry *, const char *keyauth,
    int64_t now_ms);

/* The key authorization of a token that has no entry. */
void memory_put(struct memory *, const char *token, size_t token_len,
    const char *keyauth, int64_t now_ms);

/* Forget one entry, or all of NONE. */
void memory_drop(struct memory *, struct memory_entry *);
void memory_drop_none(struct memory *);

/* Length of an entry's key authorization. */
static inline size_t
memory_keyauth_len(const struct memory_entry *m)
{
	return (size_t)m->token_len + 1 + THUMBPRINT_LEN;
}

#endif
