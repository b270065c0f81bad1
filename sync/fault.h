/*
 * Places where a test may end or stop the program, to see that whoever comes
 * after takes up the work.
 *
 * Only with CERTFLEET_FAULTS, which sanitizer builds define; without it nothing
 * of this is in the binary.  The environment then says what happens where:
 *
 *	CERTFLEET_FAULT=F11:kill,F3:stop:2,F8:sleep=500
 *
 * kill and stop are the signals KILL and STOP, at the nth time the place is
 * passed (default: the first); sleep blocks for so many milliseconds, each
 * time or, with a number, only the nth.
 */
#ifndef SYNC_FAULT_H
#define SYNC_FAULT_H

#ifdef CERTFLEET_FAULTS

/* Pass a place.  A CERTFLEET_FAULT that cannot be read aborts. */
void fault_point(const char *place);

#else
#define fault_point(place) ((void)0)
#endif

#endif
