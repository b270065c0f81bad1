#include "agent/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define SPARE_MAX 256

__extension__ typedef unsigned __int128 uint128;

/* Room for every entry there may be, so that the table never grows. */
void
memory_init(struct memory *m, const struct memory_conf *conf)
{
	uint32_t n = 1024;

	*m = (struct memory){
		.max = { conf->asked_max, conf->found_max, MEMORY_NONE_MAX },
		.ttl_ms = { 0, MEMORY_FOUND_MS, conf->none_ttl_ms },
		.secret = { conf->secret[0], conf->secret[1] | 1 },
	};
	while (n < conf->asked_max + conf->found_max + MEMORY_NONE_MAX)
		n *= 2;
	m->mask = n - 1;
	m->buckets = xcalloc(n, sizeof(*m->buckets));
	for (int i = 0; i < MEMORY_STATES; i++)
		TAILQ_INIT(&m->list[i]);
}

void
memory_clear(struct memory *m)
{
	struct memory_entry *e;

	for (int i = 0; i < MEMORY_STATES; i++)
		while ((e = TAILQ_FIRST(&m->list[i])) != NULL)
			memory_drop(m, e);
	while ((e = LIST_FIRST(&m->spare)) != NULL) {
		LIST_REMOVE(e, chain);
		free(e);
	}
	free(m->buckets);
	m->buckets = NULL;
}

static uint64_t
fold(uint64_t v, const struct memory *m)
{
	uint128 wide = (uint128)v * m->secret[1];

	return (uint64_t)wide ^ (uint64_t)(wide >> 64) ^ m->secret[0];
}

/*
 * Eight bytes at a time, each folded by a wide multiplication with secrets: a
 * stranger who does not know them cannot fill one bucket.
 */
static uint32_t
hash(const struct memory *m, const char *s, size_t len)
{
	uint64_t h = m->secret[0] ^ len, word;

	for (; len >= sizeof(word); s += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, s, sizeof(word));
		h = fold(h ^ word, m);
	}
	word = 0;
	memcpy(&word, s, len);
	h = fold(h ^ word, m);
	return (uint32_t)(h ^ h >> 32);
}

struct memory_entry *
memory_find(
    struct memory *m, const char *token, size_t token_len, int64_t now_ms)
{
	uint32_t h = hash(m, token, token_len);
	struct memory_entry *e;

	LIST_FOREACH (e, &m->buckets[h & m->mask], chain) {
		if (e->hash != h || e->token_len != token_len ||
		    memcmp(e->text, token, token_len) != 0)
			continue;
		if (e->state == MEMORY_ASKED || now_ms < e->until_ms)
			return e;
		memory_drop(m, e);
		break;
	}
	return NULL;
}

/* A CA's tokens are all of one length, so that the first spare one fits. */
static struct memory_entry *
new_room(struct memory *m, size_t token_len)
{
	struct memory_entry *e = LIST_FIRST(&m->spare);

	if (e == NULL || e->token_len != token_len)
		return xmalloc(sizeof(*e) + token_len + 1 + THUMBPRINT_LEN);
	LIST_REMOVE(e, chain);
	m->nspare--;
	return e;
}

static struct memory_entry *
new_entry(struct memory *m, const char *token, size_t token_len)
{
	struct memory_entry *e = new_room(m, token_len);

	assert(token_len <= TOKEN_MAX);
	*e = (struct memory_entry){
		.hash = hash(m, token, token_len),
		.state = MEMORY_ASKED,
		.token_len = (uint8_t)token_len,
	};
	memcpy(e->text, token, token_len);
	LIST_INSERT_HEAD(&m->buckets[e->hash & m->mask], e, chain);
	TAILQ_INSERT_TAIL(&m->list[MEMORY_ASKED], e, next);
	m->n[MEMORY_ASKED]++;
	return e;
}

struct memory_entry *
memory_ask(struct memory *m, const char *token, size_t token_len)
{
	if (m->n[MEMORY_ASKED] >= m->max[MEMORY_ASKED])
		return NULL;
	return new_entry(m, token, token_len);
}

void
memory_set(struct memory *m, struct memory_entry *e, const char *keyauth,
    int64_t now_ms)
{
	enum memory_state to = keyauth != NULL ? MEMORY_FOUND : MEMORY_NONE;
	struct memory_entry *oldest;

	if (keyauth != NULL)
		memcpy(e->text, keyauth, memory_keyauth_len(e));
	TAILQ_REMOVE(&m->list[e->state], e, next);
	m->n[e->state]--;
	e->state = (uint8_t)to;
	e->until_ms = now_ms + m->ttl_ms[to];
	e->asked = NULL;
	TAILQ_INSERT_TAIL(&m->list[to], e, next);
	m->n[to]++;
	/* Entries of a state expire in the order in which they came. */
	while ((oldest = TAILQ_FIRST(&m->list[to])) != e &&
	       (m->n[to] > m->max[to] || now_ms >= oldest->until_ms))
		memory_drop(m, oldest);
}

void
memory_put(struct memory *m, const char *token, size_t token_len,
    const char *keyauth, int64_t now_ms)
{
	memory_set(m, new_entry(m, token, token_len), keyauth, now_ms);
}

void
memory_drop(struct memory *m, struct memory_entry *e)
{
	LIST_REMOVE(e, chain);
	TAILQ_REMOVE(&m->list[e->state], e, next);
	m->n[e->state]--;
	if (m->nspare == SPARE_MAX) {
		free(e);
		return;
	}
	LIST_INSERT_HEAD(&m->spare, e, chain);
	m->nspare++;
}

void
memory_drop_none(struct memory *m)
{
	struct memory_entry *e;

	while ((e = TAILQ_FIRST(&m->list[MEMORY_NONE])) != NULL)
		memory_drop(m, e);
}
