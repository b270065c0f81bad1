/*
 * Looking through all domains, for people: some of them by what is searched
 * for, and how many renewals are ahead.  Redis walks through its names a part
 * at a time, so that others are not kept waiting.
 */
#ifndef SYNC_STORE_SEARCH_H
#define SYNC_STORE_SEARCH_H

#include "sync/store.h"

#define STORE_SEARCH_APPS 64
#define STORE_SEARCH_LIMIT 500
#define STORE_AHEAD_DAYS 400

/* What is looked for, borrowed for the call; no text is longer than a name. */
struct store_search {
	const char *app[STORE_SEARCH_APPS]; /* in any of these */
	size_t napps;                       /* 0: in any there is */
	const char *text;                   /* in the name; "": any */
	int status;                         /* -1: any */
	const char *after;                  /* a name; "": from the first */
	size_t limit;
};

/*
 * At most limit domains, by name; next is the name to go on after, "" when there
 * are no more.  They live until fn returns.
 */
typedef void store_found_fn(void *arg, const struct domain *const *, size_t n,
    const char *next, const struct err *e);
void store_find(
    struct store *, const struct store_search *, store_found_fn *, void *arg);

/* How many: [0] before the first day, [1] on it, and so on. */
struct store_ahead {
	int64_t renewals[STORE_AHEAD_DAYS + 1];
	int64_t ends[STORE_AHEAD_DAYS + 1];        /* of managed ones */
	int64_t custom_ends[STORE_AHEAD_DAYS + 1]; /* of owners' own */
};
typedef void store_ahead_fn(
    void *arg, const struct store_ahead *, const struct err *e);
void store_ahead(
    struct store *, int64_t from_ms, int days, store_ahead_fn *, void *arg);

#endif
