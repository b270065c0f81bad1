/*
 * Whose clock is wrong?  This node's clock against Redis's and the CA's, by
 * what they last said and how long ago that is.
 *
 * Pure: times are passed in, now_ms by the clock that may be wrong and up_ms by
 * one that does not jump: so a jump of ours is noticed at once, forth and back,
 * though nobody has been heard meanwhile.  More than a minute apart is an alarm.  When it is
 * our own clock that cannot be right, no certificate is replaced and no order
 * made: its dates would be judged by a wrong "now".
 */
#ifndef SYNC_SKEW_H
#define SYNC_SKEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SKEW_MAX_MS 60000
/* What was said so long ago counts no longer: while nothing is ordered the CA
 * is not heard, and it may have been its clock that was wrong. */
#define SKEW_STALE_MS 600000

enum skew_of {
	SKEW_REDIS = 0,
	SKEW_CA,
	/* must stay last */
	SKEWS
};

/* Zero is a clock of which nothing is known. */
struct skew {
	bool known[SKEWS];
	int64_t said_at[SKEWS]; /* up_ms */
	int64_t said_ms[SKEWS]; /* theirs */
};

void skew_note(struct skew *, enum skew_of, int64_t up_ms, int64_t theirs_ms);

/* Is there something to tell a person?  why gets the sentence. */
bool skew_alarm(
    const struct skew *, int64_t now_ms, int64_t up_ms, char *why, size_t size);

/*
 * Can our own clock not be right?  It is before this program was written, or
 * the CA disagrees, or Redis does and the CA has not been heard.
 */
bool skew_implausible(const struct skew *, int64_t now_ms, int64_t up_ms);

#endif
