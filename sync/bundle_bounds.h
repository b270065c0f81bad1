/*
 * Is msgpack from outside what it says it is?  Pure.
 *
 * msgpack allocates what a count announces: five bytes can ask for gigabytes.
 * So the bytes are walked over first: each object announced needs at least one.
 */
#ifndef SYNC_BUNDLE_BOUNDS_H
#define SYNC_BUNDLE_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

/* Exactly one value, which has all that it announces. */
bool bundle_bounded(const void *bytes, size_t len);

#endif
