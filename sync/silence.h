/*
 * Who has not answered, and since when: addresses, and name servers whose
 * address cannot be looked up.
 *
 * Pure: the clock comes in.  Silence is what was met each time somebody asked;
 * where nobody has asked for SILENCE_GAP_MS, nothing is known and it begins
 * anew.
 */
#ifndef SYNC_SILENCE_H
#define SYNC_SILENCE_H

#include <stddef.h>
#include <stdint.h>

#define SILENCE_GAP_MS (2 * 60 * 60 * 1000)
#define SILENCE_TIMES 4 /* fewer say nothing about how long */
#define SILENCE_MAX 256

/* All zero at first; when it is full, the one not met for longest goes. */
struct silence {
	struct silent {
		char who[256]; /* "": nobody */
		int64_t first_ms, last_ms;
		int times;
	} silent[SILENCE_MAX];
};

/* It has not answered; return for how long that has been so, in ms. */
int64_t silence_met(struct silence *, const char *who, int64_t now_ms);

/* It has answered. */
void silence_broken(struct silence *, const char *who);

#endif
