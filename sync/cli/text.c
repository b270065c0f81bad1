#include "sync/cli/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/str.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

char *
text_span(char out[static TEXT_SPAN_MAX], int64_t ms)
{
	if (ms < 0)
		ms = 0;
	if (ms < 2 * MINUTE)
		snprintf(out, TEXT_SPAN_MAX, "%" PRId64 " s", ms / SECOND);
	else if (ms < 2 * HOUR)
		snprintf(out, TEXT_SPAN_MAX, "%" PRId64 " min", ms / MINUTE);
	else if (ms < 2 * DAY)
		snprintf(out, TEXT_SPAN_MAX, "%" PRId64 " h", ms / HOUR);
	else
		snprintf(out, TEXT_SPAN_MAX, "%" PRId64 " days", ms / DAY);
	return out;
}

char *
text_when(char out[static TEXT_SPAN_MAX], int64_t at, int64_t now)
{
	int64_t ahead = at - now;
	char span[TEXT_SPAN_MAX];

	if (ahead > -SECOND && ahead < SECOND)
		snprintf(out, TEXT_SPAN_MAX, "now");
	else if (ahead > 0)
		snprintf(
		    out, TEXT_SPAN_MAX, "in %.24s", text_span(span, ahead));
	else
		snprintf(
		    out, TEXT_SPAN_MAX, "%.24s ago", text_span(span, -ahead));
	return out;
}

/* Two digits at p, or -1. */
static int
pair(const char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + p[1] - '0';
}

int64_t
text_time(const char *s)
{
	struct tm tm = { 0 };
	int century, ms = 0;

	if (strspn(s, "0123456789-:.TZ") != strlen(s) || strlen(s) < 20)
		return 0;
	century = pair(s);
	tm.tm_year = century * 100 + pair(s + 2) - 1900;
	tm.tm_mon = pair(s + 5) - 1;
	tm.tm_mday = pair(s + 8);
	tm.tm_hour = pair(s + 11);
	tm.tm_min = pair(s + 14);
	tm.tm_sec = pair(s + 17);
	if (century < 19 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour < 0 || tm.tm_min < 0 || tm.tm_sec < 0)
		return 0;
	if (s[19] == '.' && pair(s + 20) >= 0 && s[22] >= '0' && s[22] <= '9')
		ms = pair(s + 20) * 10 + s[22] - '0';
	return (int64_t)timegm(&tm) * SECOND + ms;
}

size_t
text_width(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

char *
text_member(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	size_t size;
	char *out;

	if (s == NULL)
		return xstrdup("");
	size = strlen(s) * 4 + 1;
	out = xmalloc(size);
	return str_printable(out, size, s, strlen(s));
}

int64_t
text_time_member(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? text_time(s) : 0;
}

int64_t
text_int_member(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}
