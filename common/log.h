/*
 * One logfmt line per event, to standard error.
 *
 * Levels: error (someone must act), warn (we retry), info (state changes),
 * debug.  Whatever a line contains, it stays one line without control
 * characters: text from outside needs no escaping by the caller.  Under
 * systemd lines carry the <N> prefix instead of a time.  errno is preserved.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

enum log_level {
	LOG_LEVEL_ERROR = 0,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	/* must stay last */
	LOG_LEVELS
};

/* program is borrowed for ever; until called, lines are from "certfleet". */
void log_open(const char *program, enum log_level);

/* "error", "warn", "info", "debug"; -1 for anything else. */
int log_level_parse(const char *);

void log_write(enum log_level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
