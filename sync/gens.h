/*
 * Generations of all partitions together: how far a node is, as its heartbeat
 * tells it ("12", and with more partitions "12,4,9").  Pure.
 */
#ifndef SYNC_GENS_H
#define SYNC_GENS_H

#include <stdbool.h>
#include <stdint.h>

#define GENS_MAX 64 /* partitions of a fleet */
#define GENS_TEXT_MAX (GENS_MAX * 20)

/* Zero: nothing is known. */
struct gens {
	int n; /* partitions */
	int64_t gen[GENS_MAX];
};

/* -1 when the text is something else: then nothing is known. */
int gens_parse(struct gens *, const char *text);
void gens_format(const struct gens *, char out[static GENS_TEXT_MAX]);

/* Has the partition of that domain come to gen? */
bool gens_reached(const struct gens *, const char *name, int64_t gen);

bool gens_equal(const struct gens *, const struct gens *);

/* Of each partition the higher one.  Another number of them is another fleet. */
void gens_raise(struct gens *, const struct gens *by);

/* One number for people: it grows with each change. */
int64_t gens_sum(const struct gens *);

#endif
