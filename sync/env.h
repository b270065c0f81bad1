/*
 * The variables of an app: DNS_PROVIDER, and what that provider needs.
 *
 * Pure.  Only names that a provider has can be set, so that a slip is told at
 * once.  Values are secrets but for the plain ones, which say where, not who.
 */
#ifndef SYNC_ENV_H
#define SYNC_ENV_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "providers/provider.h"

#define ENV_PROVIDER "DNS_PROVIDER"
#define ENV_VARIABLES_MAX 64
#define ENV_VALUE_MAX (16 * 1024)
#define ENV_MAX (64 * 1024) /* bytes of all together */

struct env_variable {
	char *name, *value;
};

/* In the order of their names.  env_init() before use; clear wipes. */
struct env {
	struct env_variable variable[ENV_VARIABLES_MAX];
	size_t n;
};

void env_init(struct env *);
void env_clear(struct env *);

/* NULL when it is not set. */
const char *env_get(const struct env *, const char *name);

/*
 * Set one.  ERR_REFUSED, with a sentence that has the name and never the value:
 * no provider has such a variable, the value is empty or too long, or they are
 * too many.
 */
int env_put(struct env *, const char *name, const char *value, struct err *);

/* Return whether it was there. */
bool env_remove(struct env *, const char *name);

/* Does its value say where, not who?  Such may be shown. */
bool env_plain(const char *name);

/* Is it DNS_PROVIDER, or one that this provider reads? */
bool env_concerns(const struct provider *, const char *name);

/*
 * Which variables does a sentence name?  What is said about credentials names
 * them all.  Sets the provider that they are of, NULL: of any, and returns how
 * many there are.
 */
size_t env_named(const char *sentence,
    const char *names[static PROVIDER_SETTINGS_MAX], const char **provider);

/* Their text, as it is sealed: name NUL value NUL, and so on; and back. */
int env_pack(const struct env *, struct buf *out, struct err *);
int env_unpack(struct env *, const void *, size_t len, struct err *);

/*
 * The access that they give.  Return 1, 0 when DNS_PROVIDER is not set, or -1:
 * it is unknown, or bad lists what is missing or malformed, and e says it all
 * in one sentence.  provider_access_clear() in any case.
 */
int env_access(const struct env *, struct provider_access *,
    struct provider_vars *bad, struct err *);

#endif
