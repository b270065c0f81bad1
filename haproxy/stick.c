#include "haproxy/stick.h"

#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/str.h"
#include "haproxy/command.h"
#include "haproxy/runtime.h"

#define ANSWER_MAX (16 * 1024 * 1024) /* a hundred thousand entries */
#define COMMAND_MAX 1024

struct stick {
	struct runtime *runtime;
	const char *table;
	answer_rate_fn *fn;
	stick_done_fn *done;
	void *arg;
};

void
stick_cancel(struct stick *s)
{
	if (s == NULL)
		return;
	runtime_close(s->runtime);
	free(s);
}

static void
finish(struct stick *s, const struct err *e)
{
	stick_done_fn *done = s->done;
	void *arg = s->arg;

	stick_cancel(s);
	done(arg, e);
}

static void
on_answer(void *arg, const char *text)
{
	struct stick *s = arg;
	char safe[96];
	struct err e = { 0 };

	if (answer_table(text, s->fn, s->arg) == 0) {
		finish(s, NULL);
		return;
	}
	err_set(&e, ERR_CONFIG, "HAProxy says to \"show table %s\": %s",
	    s->table, str_printable(safe, sizeof(safe), text, strlen(text)));
	finish(s, &e);
}

static void
on_failed(void *arg, const struct err *e)
{
	struct err copy = *e;

	finish(arg, &copy);
}

struct stick *
stick_read(struct event_base *base, const char *socket, const char *table,
    int timeout_ms, answer_rate_fn *fn, stick_done_fn *done, void *arg)
{
	struct stick *s = xcalloc(1, sizeof(*s));
	struct buf command;
	struct err e;

	s->table = table;
	s->fn = fn;
	s->done = done;
	s->arg = arg;
	s->runtime =
	    runtime_open(base, socket, timeout_ms, on_answer, on_failed, s);
	runtime_limit(s->runtime, ANSWER_MAX);
	buf_init(&command, COMMAND_MAX);
	/* A name that cannot be is not sent, and the time-out says so. */
	(void)command_show_table(&command, table, &e);
	runtime_send(s->runtime, &command);
	return s;
}
