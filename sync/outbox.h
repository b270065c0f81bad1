/*
 * What the leader has and Redis may still lose: the key of an order until its
 * certificate is here, a certificate until a replica and a node have it.
 *
 * Sealed files in state_dir/outbox, mode 0600, each whole or not there.  A disk
 * that takes nothing is told once; then Redis alone has it.  It is
 * bounded: what a node already has goes first.  Also the
 * account's key, of which Redis may be emptied as well.  NULL is an outbox that
 * keeps nothing.
 */
#ifndef SYNC_OUTBOX_H
#define SYNC_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "sync/gens.h"

#define OUTBOX_MAX 4096

struct outbox;
struct seal_ring;
struct worker;

/*
 * Take up what was left in it; it is to hold at most max domains.  NULL when the
 * directory cannot be used.
 *
 * sync_keys: Redis is on this machine.  What takes the machine down then takes
 * the last second of Redis, too, so that an order waits until the disk has its
 * key.  Else one of the two is left, and no order waits for a disk.
 */
struct outbox *outbox_new(const char *state_dir, const struct seal_ring *,
    size_t max, bool sync_keys, struct err *);
void outbox_free(struct outbox *);

/* The disk is waited for by this worker, which outlives it, not by the loop. */
void outbox_worker(struct outbox *, struct worker *);

/*
 * The key that the order at url is going to be finalized with; was is the SHA-1
 * of the certificate that it is to replace, "": none.  True: fn(arg) is called
 * when the disk has it, which the order waits for, unless outbox_cancel() comes
 * first.
 */
typedef void outbox_flushed_fn(void *arg);
bool outbox_put_key(struct outbox *, const char *name, const char *url,
    const char *was, const char *key_pem, outbox_flushed_fn *, void *arg);
void outbox_cancel(struct outbox *, const void *arg);

/*
 * Both NULL when there is none, or it was for what has been replaced since: such
 * a one is dropped.  The caller frees url and wipes key_pem.
 */
bool outbox_get_key(struct outbox *, const char *name, const char *was,
    char **url, char **key_pem);

/*
 * The certificate that the order has come to, and until when it is good; its key
 * is in it.
 */
void outbox_put_bundle(struct outbox *, const char *name, const char *sha1,
    int64_t not_after, const void *bundle, size_t len);

/* It is in Redis, as this generation; or nothing is to be kept any more. */
void outbox_committed(struct outbox *, const char *name, int64_t gen);
void outbox_drop(struct outbox *, const char *name);

/* A node has all up to these generations; this node has that certificate. */
void outbox_acked(struct outbox *, const struct gens *);
void outbox_held(struct outbox *, const char *name, const char *sha1);

/*
 * Everything committed so far, of names in that partition, has reached as many
 * replicas as it should, if it was committed no later than mark was taken.
 */
int64_t outbox_mark(const struct outbox *);
void outbox_replicated(
    struct outbox *, int partition, int npartitions, int64_t mark);
bool outbox_waits(const struct outbox *, int partition, int npartitions);

/*
 * This node leads no longer: whether Redis has what it committed last, and
 * another has acknowledged that, is not known.  What is not known to be there is
 * to be offered to who leads, until the index says that it is, or has a better
 * one.
 */
void outbox_unsure(struct outbox *);
void outbox_indexed(
    struct outbox *, const char *name, const char *sha1, int64_t not_after);
size_t outbox_unknown(const struct outbox *);

/* The certificates in it; those alone that are not known to be in Redis. */
typedef void outbox_fn(
    void *arg, const char *name, const void *bundle, size_t len);
void outbox_each(struct outbox *, bool unknown, outbox_fn *, void *arg);

/* How many domains are in it. */
size_t outbox_size(const struct outbox *);

/* The account at a CA; as outbox_get_key(). */
void outbox_put_account(
    struct outbox *, const char *ca, const char *key_pem, const char *url);
bool outbox_get_account(
    struct outbox *, const char *ca, char **url, char **key_pem);

/* By the ring's newest key: an older one may be gone with the next start. */
void outbox_seal_anew(struct outbox *, const char *ca);

#endif
