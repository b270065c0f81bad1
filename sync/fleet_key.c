/* Where everything of a fleet is. */
#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/redis_keys.h"
#include "sync/fleet_line.h"
#include "sync/fleet_read.h"

/* clang-format off */
const struct fleet_part fleet_parts[FLEET_PARTS] = {
	{ "record", KEY_DOMAIN, "", FLEET_HASH },
	{ "cert", KEY_CERT, "", FLEET_STRING },
	{ "previous", KEY_CERT, KEY_PREVIOUS, FLEET_STRING },
	{ "next", KEY_CERT, KEY_NEXT, FLEET_STRING },
	{ "staged", KEY_CERT, KEY_STAGED, FLEET_HASH },
	{ "order", KEY_ORDER, "", FLEET_HASH },
	{ "custom", KEY_CUSTOM, "", FLEET_STRING },
	{ "previous_custom", KEY_CUSTOM, KEY_PREVIOUS, FLEET_STRING },
	{ "was_custom", KEY_CUSTOM, KEY_WAS, FLEET_HASH },
	{ "next_custom", KEY_CUSTOM, KEY_NEXT, FLEET_STRING },
	{ "staged_custom", KEY_CUSTOM, KEY_STAGED, FLEET_HASH },
	{ "timeline", KEY_TIMELINE, "", FLEET_LIST },
};
const struct fleet_part fleet_singles[FLEET_SINGLES] = {
	{ "txt", KEY_TXT, "", FLEET_HASH },
	{ "tokens", KEY_TOKENS, "", FLEET_HASH },
	{ "tokenkey", KEY_TOKENKEY, "", FLEET_STRING },
	{ "rollover", KEY_ROLLOVER, "", FLEET_STRING },
	{ "thumbprint", KEY_THUMBPRINT, "", FLEET_STRING },
};
/* clang-format on */

const char *
fleet_key(const struct conf *conf, const char *format, int partition,
    const char *name, char out[static FLEET_KEY_MAX])
{
	/* The formats are the literals of redis_keys.h, of three shapes. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (strstr(format, "%d") != NULL)
		snprintf(out, FLEET_KEY_MAX, format, conf->redis.prefix,
		    partition, name);
	else
		snprintf(out, FLEET_KEY_MAX, format, conf->redis.prefix, name);
#pragma GCC diagnostic pop
	return out;
}

/* "bucket:key": all of a Cluster are in one slot. */
const char *
fleet_limit_key(
    const struct conf *conf, const char *name, char out[static FLEET_KEY_MAX])
{
	snprintf(out, FLEET_KEY_MAX, "%slimit:%s%s", conf->redis.prefix,
	    conf->redis.cluster.n > 0 ? "{limit}:" : "", name);
	return out;
}
