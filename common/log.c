#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/str.h"

#define LINE_MAX_LEN 2048

static const struct {
	const char *name;
	int priority; /* of sd-daemon(3) */
} levels[LOG_LEVELS] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARN] = { "warn", 4 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static const char *program = "certfleet";
static enum log_level threshold = LOG_LEVEL_INFO;
static bool journal;

void
log_open(const char *name, enum log_level level)
{
	program = name;
	threshold = level;
	journal = getenv("JOURNAL_STREAM") != NULL;
}

int
log_level_parse(const char *name)
{
	for (int i = 0; i < LOG_LEVELS; i++)
		if (strcmp(levels[i].name, name) == 0)
			return i;
	return -1;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_LEN], line[LINE_MAX_LEN * 2], at[STR_TIME_MAX];
	int saved = errno, n;
	struct timespec ts;
	va_list ap;

	if (level > threshold)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (journal) {
		n = snprintf(
		    line, sizeof(line), "<%d>", levels[level].priority);
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		str_time(at, (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
		n = snprintf(line, sizeof(line), "%s %s[%d] %s ", at, program,
		    (int)getpid(), levels[level].name);
	}
	str_printable(
	    line + n, sizeof(line) - (size_t)n - 1, text, strlen(text));
	n = (int)strlen(line);
	line[n++] = '\n';
	/* A log that cannot be written has nobody left to be told. */
	if (write(STDERR_FILENO, line, (size_t)n) == -1)
		errno = saved;
	errno = saved;
}
