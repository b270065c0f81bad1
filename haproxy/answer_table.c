#include <string.h>

#include "common/str.h"
#include "haproxy/answer.h"

#define HOUR_MS INT64_C(3600000)
#define DIGITS "0123456789"
#define HEX DIGITS "ABCDEF"
#define RATE " http_req_rate("

/* A number and the character behind it; -1 when it is none. */
static int
number(const char **p, char end, int64_t max, int64_t *v)
{
	size_t len = strspn(*p, DIGITS);
	char copy[24];

	if (len == 0 || len >= sizeof(copy) || (*p)[len] != end)
		return -1;
	memcpy(copy, *p, len);
	copy[len] = '\0';
	*p += len + 1;
	return str_int(copy, 0, max, v);
}

/*
 * "ADDRESS: key=SHA1 use=0 exp=99 shard=0 http_req_rate(MS)=N": what is between
 * differs from version to version.
 */
static void
entry(const char *line, size_t len, answer_rate_fn *fn, void *arg)
{
	const char *key = memmem(line, len, ": key=", 6);
	const char *p = memmem(line, len, RATE, strlen(RATE));
	char sha1[ANSWER_SHA1_MAX];
	int64_t period, n;

	if (key == NULL || p == NULL || p < key)
		return;
	key += 6;
	if ((size_t)(p - key) < sizeof(sha1) - 1 ||
	    key[sizeof(sha1) - 1] != ' ' ||
	    !str_only(key, sizeof(sha1) - 1, HEX))
		return;
	p += strlen(RATE);
	if (number(&p, ')', INT32_MAX, &period) == -1 || period == 0 ||
	    *p++ != '=')
		return;
	n = 0;
	if (number(&p, line[len], UINT32_MAX, &n) == -1 &&
	    number(&p, ' ', UINT32_MAX, &n) == -1)
		return;
	memcpy(sha1, key, sizeof(sha1) - 1);
	sha1[sizeof(sha1) - 1] = '\0';
	fn(arg, sha1, n * HOUR_MS / period);
}

int
answer_table(const char *text, answer_rate_fn *fn, void *arg)
{
	size_t len;

	if (!str_has_prefix(text, "# table: "))
		return -1;
	while (text[len = strcspn(text, "\n")] != '\0') {
		text += len + 1;
		entry(text, strcspn(text, "\n"), fn, arg);
	}
	return 0;
}
