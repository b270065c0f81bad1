/*
 * ACME Renewal Information (RFC 9773): when the CA would like a certificate
 * to be renewed, and what that makes of a domain's record.
 *
 * Pure: a reply and the time are passed in.
 */
#ifndef SYNC_ARI_H
#define SYNC_ARI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"

/* The suggested window, start included and end not, wall-clock ms. */
struct ari {
	int64_t start, end;
	char explanation_url[256]; /* https, for people; or "" */
};

/*
 * Read a renewalInfo object (section 4.2); ERR_BUG when its window is none or
 * ends before it begins.  An explanationURL that is no https URL is left out.
 */
int ari_parse(struct ari *, json_t *, struct err *);

/*
 * The second of the window at which name is renewed: any of them is as likely,
 * and the same name and window give the same one (section 4.2).
 */
int64_t ari_pick(const char *name, int64_t start, int64_t end);

/*
 * Take a window into the record: renew_at is the second picked, now when that
 * has passed, never later than the last tenth of the lifetime.
 */
void ari_take(struct domain *, const struct ari *, int64_t now_ms);

/*
 * When to ask again: after what the CA asked for (0: six hours, section 4.3),
 * but not before min_s and not after max_s.
 */
int64_t ari_next_poll(int64_t now_ms, int64_t asked_ms, int min_s, int max_s);

/*
 * A new certificate of this CA: the record forgets the old one's window and
 * asks for its own after min_s, or a fiftieth of a short lifetime.  id "" or
 * poll false: it is not asked for.
 */
void ari_begin(struct domain *, const char *ca, const char *id, bool poll,
    int64_t now_ms, int min_s);

/* Of two certificates the second: which one, and the CA that made it. */
void ari_second(struct domain *, const char *ca, const char *id);

/* The CA that issued the certificate of the record, or the second of two. */
const char *ari_ca(const struct domain *, bool second);

/*
 * The certificate that an order at ca replaces ("replaces", section 5): of two
 * the first, or the second.  NULL when there is none, when it is not this CA's,
 * or the CA has never said when to renew the first.
 */
const char *ari_replaces(const struct domain *, const char *ca, bool second);

/* Is now inside the window?  Then the CA's limits do not count the order. */
bool ari_within(const struct domain *, int64_t now_ms);

#endif
