#include "sync/rfc3339.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

/* Two digits or four, as a number within bounds; -1 when they are none. */
static int
digits(const char **p, int n, int min, int max)
{
	int v = 0;

	while (n-- > 0) {
		if (**p < '0' || **p > '9')
			return -1;
		v = v * 10 + *(*p)++ - '0';
	}
	return v >= min && v <= max ? v : -1;
}

static bool
expect(const char **p, char c)
{
	return *(*p)++ == c;
}

/* "Z" or "+hh:mm", as seconds east of Greenwich. */
static int
offset(const char **p, int *seconds)
{
	int sign, h, m;

	*seconds = 0;
	if (**p == 'Z') {
		(*p)++;
		return 0;
	}
	if (**p != '+' && **p != '-')
		return -1;
	sign = *(*p)++ == '-' ? -1 : 1;
	if ((h = digits(p, 2, 0, 23)) == -1 || !expect(p, ':') ||
	    (m = digits(p, 2, 0, 59)) == -1)
		return -1;
	*seconds = sign * (h * 3600 + m * 60);
	return 0;
}

int
rfc3339(const char *s, int64_t *ms)
{
	const char *p = s;
	struct tm tm = { 0 }, same;
	int east;
	time_t t;

	if ((tm.tm_year = digits(&p, 4, 1970, 9999)) == -1 ||
	    !expect(&p, '-') || (tm.tm_mon = digits(&p, 2, 1, 12)) == -1 ||
	    !expect(&p, '-') || (tm.tm_mday = digits(&p, 2, 1, 31)) == -1 ||
	    !expect(&p, 'T') || (tm.tm_hour = digits(&p, 2, 0, 23)) == -1 ||
	    !expect(&p, ':') || (tm.tm_min = digits(&p, 2, 0, 59)) == -1 ||
	    !expect(&p, ':') || (tm.tm_sec = digits(&p, 2, 0, 60)) == -1)
		return -1;
	if (*p == '.') {
		p++;
		if (*p < '0' || *p > '9')
			return -1;
		p += strspn(p, "0123456789");
	}
	if (offset(&p, &east) == -1 || *p != '\0')
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	same = tm;
	t = timegm(&same);
	/* The 31st of a month that has none would become another day. */
	if (tm.tm_sec < 60 && same.tm_mday != tm.tm_mday)
		return -1;
	*ms = ((int64_t)t - east) * 1000;
	return 0;
}
