/*
 * The Redis Functions (common/library.lua), carried inside the programs.
 *
 * LIBRARY_VERSION is the VERSION in the Lua text, which a test compares: a
 * server that has an older one gets ours, a newer one is left alone.
 */
#ifndef COMMON_LIBRARY_H
#define COMMON_LIBRARY_H

#include <stddef.h>

#define LIBRARY_VERSION 17

extern const char library_lua[]; /* NUL-terminated */
size_t library_lua_size(void);   /* without the NUL */

#endif
