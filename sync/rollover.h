/*
 * The account's key is changed when somebody has asked for it: the new one is
 * kept in Redis before the CA hears of it, and the old one until the CA has
 * said yes.
 */
#ifndef SYNC_ROLLOVER_H
#define SYNC_ROLLOVER_H

struct ca;
struct conf;
struct event_base;
struct rollover;
struct store;

/* Over: the account's key from now on and its URL, or NULLs: as it was. */
typedef void rollover_fn(void *arg, const char *key_pem, const char *url);

struct rollover *rollover_new(struct event_base *, const struct conf *,
    struct store *, struct ca *, rollover_fn *, void *arg);
void rollover_free(struct rollover *);

/*
 * Look whether it was asked for and do it; fn is called once, unless it is
 * stopped first.  Nothing else may be signed meanwhile.
 */
void rollover_start(struct rollover *);
void rollover_stop(struct rollover *);

#endif
