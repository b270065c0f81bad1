#include "sync/schema.h"

#include <string.h>

#include "common/str.h"

/* A record without them is of schema 1, of before they were there. */
static int64_t
number(const char *text, int64_t otherwise)
{
	int64_t v;

	return text != NULL && str_int(text, 1, INT64_MAX, &v) == 0 ? v
	                                                            : otherwise;
}

enum schema_use
schema_judge(const char *schema, const char *min_reader, const char *min_writer,
    struct err *e)
{
	int64_t is = number(schema, 0);
	int64_t reader = number(min_reader, is),
		writer = number(min_writer, is);

	if (schema != NULL && strcmp(schema, SCHEMA_RESTORING) == 0) {
		err_set(e, ERR_CONFIG,
		    "a fleet is being restored into this Redis, or that has "
		    "failed: then empty it and restore again");
		return SCHEMA_REFUSE;
	}
	if (is == 0) {
		err_set(e, ERR_CONFIG,
		    "Redis holds schema %.40s of certfleet, this program knows "
		    "schema %d: upgrade it",
		    schema != NULL ? schema : "", SCHEMA);
		return SCHEMA_REFUSE;
	}
	if (reader > SCHEMA) {
		err_set(e, ERR_CONFIG,
		    "Redis holds schema %lld of certfleet, which wants "
		    "programs that know schema %lld or later (min_reader); "
		    "this one knows %d: upgrade it",
		    (long long)is, (long long)reader, SCHEMA);
		return SCHEMA_REFUSE;
	}
	if (writer > SCHEMA) {
		err_set(e, ERR_CONFIG,
		    "Redis holds schema %lld of certfleet, which only programs "
		    "that know schema %lld or later may change (min_writer); "
		    "this one knows %d and only serves: upgrade it",
		    (long long)is, (long long)writer, SCHEMA);
		return SCHEMA_READ;
	}
	return SCHEMA_WRITE;
}
