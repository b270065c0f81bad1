#include "sync/http_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/http.h"

static const char *const names[HTTP_HEADERS] = {
	[HTTP_CONTENT_TYPE] = "content-type",
	[HTTP_LOCATION] = "location",
	[HTTP_REPLAY_NONCE] = "replay-nonce",
	[HTTP_LINK] = "link",
	[HTTP_RETRY_AFTER] = "retry-after",
	[HTTP_DATE] = "date",
	[HTTP_RATE_RESET] = "x-ratelimit-reset",
};

static void
forget(struct http_head *h)
{
	for (int i = 0; i < HTTP_HEADERS; i++) {
		free(h->value[i]);
		h->value[i] = NULL;
	}
}

static void
keep(struct http_head *h, int which, const char *value, size_t len)
{
	char *old = h->value[which], *text = xmemdup0(value, len);

	if (which == HTTP_LINK && old != NULL) {
		h->value[which] = xasprintf("%s, %s", old, text);
		free(text);
	} else {
		h->value[which] = text;
	}
	free(old);
	if (strlen(h->value[which]) <= HTTP_VALUE_MAX)
		return;
	free(h->value[which]);
	h->value[which] = NULL;
}

int
http_head_line(struct http_head *h, const char *line, size_t len)
{
	const char *colon, *value, *end = line + len;
	size_t name_len;

	h->bytes += len;
	if (h->bytes > HTTP_HEAD_MAX)
		return -1;
	if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		forget(h);
		return 0;
	}
	colon = len > 0 ? memchr(line, ':', len) : NULL;
	if (colon == NULL)
		return 0;
	name_len = (size_t)(colon - line);
	for (value = colon + 1; value < end; value++)
		if (*value != ' ' && *value != '\t')
			break;
	while (end > value && (unsigned char)end[-1] <= ' ')
		end--;
	for (int i = 0; i < HTTP_HEADERS; i++)
		if (strlen(names[i]) == name_len &&
		    strncasecmp(names[i], line, name_len) == 0)
			keep(h, i, value, (size_t)(end - value));
	return 0;
}

void
http_head_clear(struct http_head *h)
{
	forget(h);
	h->bytes = 0;
}

const char *
http_head_get(const struct http_head *h, enum http_header which)
{
	return h->value[which] != NULL ? h->value[which] : "";
}

int64_t
http_date(const char *value)
{
	/* IMF-fixdate, then the two obsolete forms. */
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT",
		"%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y" };

	if (value[0] == '\0')
		return 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(value, forms[i], &tm);
		time_t t;

		if (end == NULL || *end != '\0')
			continue;
		t = timegm(&tm);
		return t > 0 ? (int64_t)t * 1000 : 0;
	}
	return 0;
}

int64_t
http_rate_reset(const char *value, int64_t now_wall_ms)
{
	int64_t s;

	if (str_int(value, 0, UINT32_MAX, &s) == -1 || s <= now_wall_ms / 1000)
		return 0;
	return s * 1000 - now_wall_ms;
}

int64_t
http_retry_after(const char *value, int64_t now_wall_ms)
{
	int64_t s, at;

	if (str_int(value, 0, INT32_MAX, &s) == 0)
		return s * 1000;
	at = http_date(value);
	return at > now_wall_ms ? at - now_wall_ms : 0;
}
