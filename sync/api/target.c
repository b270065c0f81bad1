#include "sync/api/target.h"

#include <string.h>

#include "common/str.h"

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Decode where it stands: the result is never longer. */
static int
decode(char *s, bool plus_is_space, struct err *e)
{
	char *out = s;

	for (; *s != '\0'; s++) {
		if (*s == '%') {
			int high = hex(s[1]);
			int low = high == -1 ? -1 : hex(s[2]);

			if (low == -1 || high + low == 0)
				return err_set(e, ERR_REFUSED,
				    "the URL has a \"%%\" that begins no "
				    "byte; write it as %%25");
			*out++ = (char)(high << 4 | low);
			s += 2;
		} else {
			*out++ = plus_is_space && *s == '+' ? ' ' : *s;
		}
	}
	*out = '\0';
	return 0;
}

static int
parse_queries(char *s, struct target *t, struct err *e)
{
	char *next, *value;

	for (; s != NULL; s = next) {
		next = strchr(s, '&');
		if (next != NULL)
			*next++ = '\0';
		if (*s == '\0')
			continue;
		if (t->nqueries == TARGET_QUERIES)
			return err_set(e, ERR_REFUSED,
			    "the URL has more than %d parameters",
			    TARGET_QUERIES);
		value = strchr(s, '=');
		if (value != NULL)
			*value++ = '\0';
		else
			value = s + strlen(s);
		if (decode(s, true, e) == -1 || decode(value, true, e) == -1)
			return -1;
		t->key[t->nqueries] = s;
		t->value[t->nqueries++] = value;
	}
	return 0;
}

int
target_parse(const char *raw, struct target *t, struct err *e)
{
	char *s, *next, *query;

	t->nsegments = t->nqueries = 0;
	if (raw[0] != '/')
		return err_set(e, ERR_REFUSED, "the URL is not a path");
	if (str_copy(t->text, sizeof(t->text), raw, e) == -1)
		return err_set(e, ERR_REFUSED, "the URL has more than %d bytes",
		    TARGET_MAX);
	query = strchr(t->text, '?');
	if (query != NULL)
		*query++ = '\0';
	for (s = t->text + 1; s != NULL && t->text[1] != '\0'; s = next) {
		next = strchr(s, '/');
		if (next != NULL)
			*next++ = '\0';
		if (t->nsegments == TARGET_SEGMENTS)
			return err_set(e, ERR_REFUSED,
			    "the URL has more than %d segments",
			    TARGET_SEGMENTS);
		if (decode(s, false, e) == -1)
			return -1;
		t->segment[t->nsegments++] = s;
	}
	return parse_queries(query, t, e);
}

const char *
target_query(const struct target *t, const char *key)
{
	for (size_t i = 0; i < t->nqueries; i++)
		if (strcmp(t->key[i], key) == 0)
			return t->value[i];
	return NULL;
}

int
target_int(const struct target *t, const char *key, int64_t min, int64_t max,
    int64_t otherwise, int64_t *v, struct err *e)
{
	const char *text = target_query(t, key);

	*v = otherwise;
	if (text != NULL && str_int(text, min, max, v) == -1)
		return err_set(e, ERR_REFUSED,
		    "%s must be a number from %lld to %lld", key,
		    (long long)min, (long long)max);
	return 0;
}

bool
target_match(const struct target *t, const char *pattern,
    const char *param[static TARGET_PARAMS])
{
	size_t nparams = 0, i = 0;

	while (*pattern == '/' && pattern[1] != '\0') {
		const char *want = pattern + 1, *have;
		size_t len = strcspn(want, "/");

		if (i == t->nsegments)
			return false;
		have = t->segment[i++];
		if (*want == ':') {
			if (*have == '\0' || nparams == TARGET_PARAMS)
				return false;
			param[nparams++] = have;
		} else if (strlen(have) != len ||
			   memcmp(have, want, len) != 0) {
			return false;
		}
		pattern = want + len;
	}
	return i == t->nsegments;
}
