/*
 * Places where a test may end or stop the program, to see that whoever comes
 * after takes up the work.
 *
 * Only with CERTFLEET_FAULTS, which sanitizer builds define; without it nothing
 * of this is in the binary.  The environment then says what happens where:
 *
 *	CERTFLEET_FAULT=F11:kill,F3:stop:2,F8:sleep=500
 *	CERTFLEET_FAULT=@/path
 *
 * kill and stop are the signals KILL and STOP, at the nth time the place is
 * passed (default: the first); sleep blocks for so many milliseconds, each
 * time or, with a number, only the nth.  @ names a file that says so, which is
 * read again when another takes its place; none is nothing.
 *
 * The life of a certificate, and who is taken there:
 *
 *	F1   a due domain was picked                            issuer
 *	F2   the intent is written, nothing is spent yet        issuer
 *	F3   spent of the limits, before the order is made      issuer
 *	F4   the order is made, its URL not stored              issuer
 *	F5   the order's URL is stored                          issuer
 *	F6   the challenge is published and answered            issuer
 *	F7   before the CA is told to look                      issuer
 *	F8   the CA looks                                       issuer
 *	F9   the key is stored, sealed                          issuer
 *	F10  before the order is finalized                      issuer
 *	F11  it is finalized, the reply not read                issuer
 *	F12  the certificate is here, not in Redis              issuer
 *	F13  the certificate is in Redis                        issuer
 *	F14  a temporary file is written, not yet in its place  node
 *	F15  the certificate's files are in their places        node
 *	F16  HAProxy has taken it, and was not told to use it   node
 *	F17  HAProxy shows it, and nobody was told              node
 *	F18  before a challenge or a TXT record is withdrawn    issuer
 *	C1   a canary has the certificate's files in their places node
 *	D1   the first of two certificates waits for the second issuer
 *	O1, O2  a key, a certificate is on the leader's disk,
 *	     not in Redis                                       issuer
 *	R1, R2  before and after the CA has another account key issuer
 */
#ifndef COMMON_FAULT_H
#define COMMON_FAULT_H

#include <stdbool.h>

#ifdef CERTFLEET_FAULTS

/* Pass a place.  A CERTFLEET_FAULT that cannot be read aborts. */
void fault_point(const char *place);

/* Will something happen when this place is passed the next time? */
bool fault_armed(const char *place);

#else
#define fault_point(place) ((void)0)
#define fault_armed(place) (false)
#endif

#endif
