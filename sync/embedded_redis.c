#include "sync/embedded_redis.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/event.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#define CONF_SIZE_MAX 16384
#define LINE_BYTES_MAX 4096
#define PAUSE_FIRST_MS 200
#define PAUSE_MAX_MS 10000
#define STEADY_MS 60000   /* lived so long: the next pause is the first again */
#define LOCK_RETRY_MS 50  /* an old server is ending */
#define LOCK_PATIENCE 200 /* tries, after which we say that we wait */
#define STOP_MS 5000
#define LOCK_FD 3 /* in the server */
#define CANNOT_RUN 127

struct embedded_redis {
	struct event_base *base;
	char *program, *dir, *conf_path;
	int lock; /* of dir; locked: no server but ours */
	bool locked;
	int lock_tries;
	pid_t pid; /* 0: none */
	int64_t started_at, pause_ms;
	struct event *child;   /* SIGCHLD */
	struct event *timer;   /* next try */
	struct evbuffer *said; /* and not yet a line */
	struct event *saying;
	int say; /* the end of the pipe that we read, -1: none */
};

static int make_dirs(const struct conf *, const char *dir, struct err *);
static int write_conf(
    const struct conf *, const struct embedded_redis *, struct err *);
static void on_try(void *arg);
static void on_child(evutil_socket_t, short, void *arg);

struct embedded_redis *
embedded_redis_start(
    struct event_base *base, const struct conf *conf, struct err *e)
{
	struct embedded_redis *r = xcalloc(1, sizeof(*r));
	char *lock_path;

	r->base = base;
	r->program = xstrdup(conf->redis.server);
	r->dir = xasprintf("%s/redis", conf->state_dir);
	r->conf_path = xasprintf("%s/redis.conf", r->dir);
	r->lock = r->say = -1;
	if (make_dirs(conf, r->dir, e) == -1 || write_conf(conf, r, e) == -1) {
		embedded_redis_stop(r);
		return NULL;
	}
	lock_path = xasprintf("%s/lock", r->dir);
	r->lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (r->lock == -1) {
		err_set(e, ERR_CONFIG, "%s: %s", lock_path, strerror(errno));
		free(lock_path);
		embedded_redis_stop(r);
		return NULL;
	}
	free(lock_path);
	r->child = evsignal_new(base, SIGCHLD, on_child, r);
	if (r->child == NULL)
		abort();
	event_add(r->child, NULL);
	on_try(r);
	return r;
}

/* --- files --------------------------------------------------------------- */

static int
make_dirs(const struct conf *conf, const char *dir, struct err *e)
{
	const struct {
		const char *path;
		mode_t mode;
	} dirs[] = {
		{ conf->run_dir, 0755 },
		{ conf->state_dir, 0700 },
		{ dir, 0700 },
	};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdir(dirs[i].path, dirs[i].mode) == -1 && errno != EEXIST)
			return err_set(e, ERR_CONFIG, "%s cannot be made: %s",
			    dirs[i].path, strerror(errno));
	return 0;
}

/* A setting with its value in the quotes that redis.conf understands. */
static int
put_quoted(
    struct buf *out, const char *setting, const char *value, struct err *e)
{
	buf_putf(out, "%s \"", setting);
	for (const char *p = value; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ')
			return err_set(e, ERR_CONFIG,
			    "redis %s has a control character in it", setting);
		if (*p == '"' || *p == '\\')
			buf_puts(out, "\\");
		buf_put(out, p, 1);
	}
	if (buf_puts(out, "\"\n") == -1)
		return err_set(e, ERR_CONFIG, "redis %s is too long", setting);
	return 0;
}

static int
compose(const struct conf *conf, const struct embedded_redis *r,
    struct buf *out, struct err *e)
{
	const char *password = conf->redis.password;
	const char *socket = conf_redis_url(conf) + strlen("unix:");
	struct sockaddr_un sun;

	if (strlen(socket) >= sizeof(sun.sun_path))
		return err_set(e, ERR_CONFIG,
		    "%s is %zu characters long; the path of a socket has at "
		    "most %zu: choose a shorter run_dir",
		    socket, strlen(socket), sizeof(sun.sun_path) - 1);
	buf_puts(out, "# Written by certfleet-sync at each start.\n"
		      "port 0\n"
		      "unixsocketperm 660\n"
		      "daemonize no\n"
		      "supervised no\n"
		      "logfile \"\"\n"
		      "appendonly yes\n"
		      "appendfsync everysec\n"
		      "save \"\"\n"
		      "maxmemory-policy noeviction\n");
	if (put_quoted(out, "unixsocket", socket, e) == -1 ||
	    put_quoted(out, "dir", r->dir, e) == -1)
		return -1;
	if (password != NULL && password[0] != '\0' &&
	    put_quoted(out, "requirepass", password, e) == -1)
		return -1;
	return 0;
}

/* Whole and mode 0600, or as it was. */
static int
write_file(const char *path, const struct buf *text, struct err *e)
{
	char *temp = xasprintf("%s.new", path);
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd != -1 &&
	          write(fd, text->p, text->len) == (ssize_t)text->len &&
	          fchmod(fd, 0600) == 0 && rename(temp, path) == 0;

	if (!ok)
		err_set(e, ERR_CONFIG, "%s cannot be written: %s", path,
		    strerror(errno));
	if (fd != -1)
		close(fd);
	free(temp);
	return ok ? 0 : -1;
}

static int
write_conf(
    const struct conf *conf, const struct embedded_redis *r, struct err *e)
{
	struct buf text;
	int rc;

	buf_init(&text, CONF_SIZE_MAX);
	rc = compose(conf, r, &text, e);
	if (rc == 0)
		rc = write_file(r->conf_path, &text, e);
	buf_wipe(&text);
	return rc;
}

/* --- what it says -------------------------------------------------------- */

/* "pid:role date time level text": "#" is a warning, the rest is for us. */
static void
log_line(const char *line)
{
	const char *text = strstr(line, " # ");

	if (text != NULL)
		log_warn("redis-server: %s", text + strlen(" # "));
	else if (line[0] != '\0')
		log_debug("redis-server: %s", line);
}

/* Return false when there is nothing more to read now. */
static bool
hear(struct embedded_redis *r)
{
	bool more = evbuffer_read(r->said, r->say, LINE_BYTES_MAX) > 0;
	char *line;

	while (
	    (line = evbuffer_readln(r->said, NULL, EVBUFFER_EOL_LF)) != NULL) {
		log_line(line);
		free(line);
	}
	/* What has no end is no line. */
	if (evbuffer_get_length(r->said) >= LINE_BYTES_MAX)
		evbuffer_drain(r->said, evbuffer_get_length(r->said));
	return more;
}

static void
on_said(evutil_socket_t fd, short what, void *arg)
{
	struct embedded_redis *r = arg;

	(void)fd, (void)what;
	if (!hear(r))
		event_del(r->saying); /* its end has come */
}

static void
listen_to(struct embedded_redis *r, int fd)
{
	evutil_make_socket_nonblocking(fd);
	r->say = fd;
	r->said = evbuffer_new();
	r->saying = event_new(r->base, fd, EV_READ | EV_PERSIST, on_said, r);
	if (r->said == NULL || r->saying == NULL)
		abort();
	event_add(r->saying, NULL);
}

/* The last words are often why it ended. */
static void
listen_no_more(struct embedded_redis *r)
{
	if (r->say == -1)
		return;
	while (hear(r))
		;
	event_free(r->saying);
	evbuffer_free(r->said);
	close(r->say);
	r->say = -1;
}

/* --- the process --------------------------------------------------------- */

static void
later(struct embedded_redis *r, int64_t ms)
{
	loop_after(r->base, &r->timer, ms, on_try, r);
}

/*
 * In the child.  The lock goes along as a descriptor, so that it lives as long
 * as the server.  The server is told when we die; and it is in a session of
 * its own, so that Ctrl-C reaches it by us, when we have finished with it.
 */
static void
become_server(const struct embedded_redis *r, pid_t parent, int say)
{
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	setsid();
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) == -1 || getppid() != parent ||
	    null == -1)
		_exit(CANNOT_RUN);
	dup2(null, STDIN_FILENO);
	dup2(say, STDOUT_FILENO);
	dup2(say, STDERR_FILENO);
	if (r->lock == LOCK_FD)
		fcntl(LOCK_FD, F_SETFD, 0);
	else
		dup2(r->lock, LOCK_FD);
	close_range(LOCK_FD + 1, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	umask(077);
	execlp(r->program, r->program, r->conf_path, (char *)NULL);
	_exit(CANNOT_RUN);
}

static void
run_server(struct embedded_redis *r)
{
	pid_t parent = getpid(), pid = -1;
	int say[2] = { -1, -1 };

	if (pipe2(say, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0)
		become_server(r, parent, say[1]);
	if (say[1] != -1)
		close(say[1]);
	if (pid == -1) {
		log_error("redis-server cannot be started: %s; it is tried "
			  "again",
		    strerror(errno));
		if (say[0] != -1)
			close(say[0]);
		later(r, PAUSE_MAX_MS);
		return;
	}
	r->pid = pid;
	listen_to(r, say[0]);
	r->started_at = loop_now_ms();
	log_info("redis-server pid=%d started dir=%s", (int)r->pid, r->dir);
}

static void
on_try(void *arg)
{
	struct embedded_redis *r = arg;

	if (!r->locked && flock(r->lock, LOCK_EX | LOCK_NB) == -1) {
		if (++r->lock_tries % LOCK_PATIENCE == 0)
			log_error("%s is in use by another redis-server, "
				  "which should have ended; still waiting",
			    r->dir);
		later(r, LOCK_RETRY_MS);
		return;
	}
	r->locked = true;
	run_server(r);
}

/* How it ended, in words. */
static void
log_end(const struct embedded_redis *r, int status, int64_t again_ms)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_RUN)
		log_error("%s cannot be run (redis server in certfleet.conf); "
			  "tried again in %lld ms",
		    r->program, (long long)again_ms);
	else if (WIFSIGNALED(status))
		log_error("redis-server pid=%d was ended by signal %d; started "
			  "again in %lld ms",
		    (int)r->pid, WTERMSIG(status), (long long)again_ms);
	else
		log_error("redis-server pid=%d ended with status %d; started "
			  "again in %lld ms",
		    (int)r->pid, WEXITSTATUS(status), (long long)again_ms);
}

static void
on_child(evutil_socket_t fd, short what, void *arg)
{
	struct embedded_redis *r = arg;
	int status;
	int64_t ms;

	(void)fd, (void)what;
	if (r->pid == 0 || waitpid(r->pid, &status, WNOHANG) != r->pid)
		return;
	listen_no_more(r);
	if (r->pause_ms == 0 || loop_now_ms() - r->started_at > STEADY_MS)
		r->pause_ms = PAUSE_FIRST_MS;
	ms = r->pause_ms;
	r->pause_ms = 2 * ms < PAUSE_MAX_MS ? 2 * ms : PAUSE_MAX_MS;
	log_end(r, status, ms);
	r->pid = 0;
	later(r, ms);
}

/* Wait for the server's end; false when it has not come in time. */
static bool
wait_for_end(pid_t pid, int64_t ms)
{
	const struct timespec step = { .tv_nsec = 5000000 };
	int64_t end = loop_now_ms() + ms;

	while (waitpid(pid, NULL, WNOHANG) == 0) {
		if (loop_now_ms() >= end)
			return false;
		nanosleep(&step, NULL);
	}
	return true;
}

void
embedded_redis_stop(struct embedded_redis *r)
{
	if (r == NULL)
		return;
	if (r->pid != 0) {
		kill(r->pid, SIGTERM);
		if (!wait_for_end(r->pid, STOP_MS)) {
			log_warn("redis-server pid=%d did not end in %d ms and "
				 "is killed",
			    (int)r->pid, STOP_MS);
			kill(r->pid, SIGKILL);
			waitpid(r->pid, NULL, 0);
		}
	}
	loop_timer_free(&r->timer);
	listen_no_more(r);
	if (r->child != NULL)
		event_free(r->child);
	if (r->lock != -1)
		close(r->lock);
	free(r->program);
	free(r->dir);
	free(r->conf_path);
	free(r);
}
