#include "sync/link.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds_setup.h"
#include "sync/embedded_redis.h"

#define UP_MS 15000

struct link {
	struct event_base *base;
	struct rds_setup setup;
	struct embedded_redis *embedded;
	struct rds *rds;
	struct err e; /* the first one */
	size_t waiting;
	struct event *late;
	bool up, is_late;
};

struct question {
	struct link *link;
	link_fn *fn;
	void *arg;
};

static void
on_state(void *arg, bool up, const struct err *why)
{
	struct link *l = arg;

	l->up = up;
	if (up)
		l->e = (struct err){ 0 };
	else if (why != NULL)
		l->e = *why;
}

static void
on_late(void *arg)
{
	struct link *l = arg;

	l->is_late = true;
}

/* Does somebody listen on that socket ("unix:/path")? */
static bool
listens(const char *url)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = strchr(url, '/');
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = false;

	if (fd != -1 && path != NULL && strlen(path) < sizeof(to.sun_path)) {
		memcpy(to.sun_path, path, strlen(path) + 1);
		yes = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	}
	if (fd != -1)
		close(fd);
	return yes;
}

static int
await_up(struct link *l, struct err *e)
{
	loop_after(l->base, &l->late, UP_MS, on_late, l);
	while (!l->up && !l->is_late)
		event_base_loop(l->base, EVLOOP_ONCE);
	loop_cancel(l->late);
	if (l->up)
		return 0;
	if (l->e.kind != ERR_NONE)
		*e = l->e;
	else
		err_set(e, ERR_AGAIN, "it does not answer");
	err_prefix(e, "redis");
	return -1;
}

struct link *
link_open(const struct conf *conf, struct err *e)
{
	struct link *l = xcalloc(1, sizeof(*l));

	l->base = loop_new();
	if (conf_redis_embedded(conf) && !listens(conf_redis_url(conf)) &&
	    (l->embedded = embedded_redis_start(l->base, conf, e)) == NULL) {
		event_base_free(l->base);
		free(l);
		return NULL;
	}
	rds_setup_init(&l->setup, l->base, conf, "certfleet-transfer", true);
	l->rds = rds_new(l->base, &l->setup.conf, on_state, l);
	if (await_up(l, e) == -1) {
		link_close(l);
		return NULL;
	}
	return l;
}

void
link_close(struct link *l)
{
	if (l == NULL)
		return;
	/* What is under way has a deadline. */
	while (l->waiting > 0)
		event_base_loop(l->base, EVLOOP_ONCE);
	loop_timer_free(&l->late);
	rds_free(l->rds);
	rds_setup_clear(&l->setup);
	embedded_redis_stop(l->embedded);
	event_base_free(l->base);
	free(l);
}

static void
keep_first(struct link *l, const struct err *e)
{
	if (l->e.kind == ERR_NONE)
		l->e = *e;
}

static void
on_reply(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct question *q = arg;
	struct link *l = q->link;

	l->waiting--;
	if (e != NULL)
		keep_first(l, e);
	if (q->fn != NULL)
		q->fn(q->arg, r);
	free(q);
}

void
link_send(struct link *l, const struct rds_cmd *cmd, link_fn *fn, void *arg)
{
	struct question *q = xcalloc(1, sizeof(*q));

	q->link = l;
	q->fn = fn;
	q->arg = arg;
	l->waiting++;
	rds_send(l->rds, cmd, 0, on_reply, q);
}

int
link_wait(struct link *l, struct err *e)
{
	while (l->waiting > 0)
		event_base_loop(l->base, EVLOOP_ONCE);
	if (l->e.kind == ERR_NONE)
		return 0;
	*e = l->e;
	return err_prefix(e, "redis");
}
