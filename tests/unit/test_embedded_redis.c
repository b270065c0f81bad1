/* A real redis-server, started and ended by us. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/rds.h"
#include "common/str.h"
#include "sync/embedded_redis.h"

#define PATIENCE_MS 10000

struct world {
	char *dir;
	struct conf conf;
	struct event_base *base;
	struct rds *rds;
	struct event *deadline;
	char answer[8192];
	bool answered, up;
};

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->dir = xstrdup("/tmp/certfleet-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->conf.run_dir = xasprintf("%s/run", w->dir);
	w->conf.state_dir = xasprintf("%s/state", w->dir);
	w->conf.embedded_url = xasprintf("unix:%s/run/redis.sock", w->dir);
	w->conf.redis.url = xstrdup("");
	w->conf.redis.password = xstrdup("");
	w->conf.redis.server = xstrdup("redis-server");
	log_open("test", LOG_LEVEL_ERROR);
	w->base = loop_new();
	*state = w;
	return 0;
}

/* Directories, the deepest first. */
static void
remove_all(const char *dir)
{
	char *command[] = { (char[]){ "rm" }, (char[]){ "-rf" }, xstrdup(dir),
		NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execvp(command[0], command);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	free(command[2]);
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	loop_timer_free(&w->deadline);
	event_base_free(w->base);
	remove_all(w->dir);
	free(w->conf.run_dir);
	free(w->conf.state_dir);
	free(w->conf.embedded_url);
	free(w->conf.redis.url);
	free(w->conf.redis.password);
	free(w->conf.redis.server);
	free(w->dir);
	free(w);
	return 0;
}

static void
on_state(void *arg, bool up, const struct err *why)
{
	struct world *w = arg;

	(void)why;
	w->up = up;
	loop_stop(w->base);
}

static void
on_answer(void *arg, const struct rds_reply *r, const struct err *e)
{
	struct world *w = arg;
	struct err ignored;
	const char *text = e != NULL ? e->text : r->str;

	str_copy(
	    w->answer, sizeof(w->answer), text != NULL ? text : "", &ignored);
	w->answered = true;
	loop_stop(w->base);
}

static void
on_deadline(void *arg)
{
	(void)arg;
	fail_msg("nothing happened in time");
}

static void
wait_up(struct world *w)
{
	loop_after(w->base, &w->deadline, PATIENCE_MS, on_deadline, w);
	while (!w->up)
		event_base_dispatch(w->base);
}

static const char *
ask(struct world *w, const char *a, const char *b, const char *c)
{
	struct rds_cmd cmd;

	rds_cmd(&cmd, a);
	if (b != NULL)
		rds_arg(&cmd, b);
	if (c != NULL)
		rds_arg(&cmd, c);
	w->answered = false;
	rds_send(w->rds, &cmd, 0, on_answer, w);
	while (!w->answered)
		event_base_dispatch(w->base);
	return w->answer;
}

static void
connect_rds(struct world *w)
{
	const struct rds_conf conf = {
		.url = w->conf.embedded_url,
		.password = w->conf.redis.password,
		.connect_timeout_ms = 500,
		.command_timeout_ms = 1000,
	};

	w->up = false;
	w->rds = rds_new(w->base, &conf, on_state, w);
	wait_up(w);
}

/* From INFO, which has it as "process_id:N". */
static pid_t
server_pid(struct world *w)
{
	const char *at = strstr(ask(w, "INFO", "server", NULL), "process_id:");

	return at != NULL ? (pid_t)strtol(at + 11, NULL, 10) : 0;
}

/* A process that nobody has waited for yet has no command line any more. */
static bool
is_running(pid_t pid)
{
	char *path = xasprintf("/proc/%d/cmdline", (int)pid), c;
	int fd = open(path, O_RDONLY);
	bool running = fd != -1 && read(fd, &c, 1) == 1;

	if (fd != -1)
		close(fd);
	free(path);
	return running;
}

static mode_t
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void
a_private_server_answers_and_its_files_are_ours_alone(void **state)
{
	struct world *w = *state;
	struct err e;
	struct embedded_redis *r = embedded_redis_start(w->base, &w->conf, &e);
	char *conf = xasprintf("%s/redis/redis.conf", w->conf.state_dir);
	char *dir = xasprintf("%s/redis", w->conf.state_dir);

	assert_non_null(r);
	connect_rds(w);
	assert_string_equal(ask(w, "SET", "a", "1"), "OK");
	assert_int_equal(mode_of(conf), 0600);
	assert_int_equal(mode_of(dir), 0700);
	assert_int_equal(mode_of(w->conf.embedded_url + strlen("unix:")), 0660);
	rds_free(w->rds);
	embedded_redis_stop(r);
	free(conf);
	free(dir);
}

static void
what_was_written_is_there_after_a_restart(void **state)
{
	struct world *w = *state;
	struct err e;
	struct embedded_redis *r;

	for (int i = 0; i < 2; i++) {
		r = embedded_redis_start(w->base, &w->conf, &e);
		assert_non_null(r);
		connect_rds(w);
		if (i == 0)
			assert_string_equal(ask(w, "SET", "a", "kept"), "OK");
		else
			assert_string_equal(ask(w, "GET", "a", NULL), "kept");
		rds_free(w->rds);
		embedded_redis_stop(r);
	}
}

static void
a_server_that_is_killed_is_started_again_with_its_data(void **state)
{
	struct world *w = *state;
	struct err e;
	struct embedded_redis *r = embedded_redis_start(w->base, &w->conf, &e);
	pid_t pid;

	assert_non_null(r);
	connect_rds(w);
	ask(w, "SET", "a", "kept");
	assert_string_equal(ask(w, "GET", "a", NULL), "kept");
	pid = server_pid(w);
	if (pid > 0)
		kill(pid, SIGKILL);
	assert_true(pid > 0);
	while (w->up)
		event_base_dispatch(w->base);
	wait_up(w);
	assert_string_equal(ask(w, "GET", "a", NULL), "kept");
	assert_int_not_equal(server_pid(w), pid);
	rds_free(w->rds);
	embedded_redis_stop(r);
}

/* A sync of its own, which starts a server, writes, says so and waits. */
static void
be_another_sync(struct world *w, int say)
{
	struct event_base *base = loop_new();
	struct err e;
	pid_t pid;

	w->base = base;
	w->deadline = NULL;
	if (embedded_redis_start(base, &w->conf, &e) == NULL)
		_exit(1);
	connect_rds(w);
	ask(w, "SET", "a", "theirs");
	pid = server_pid(w);
	if (write(say, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	for (;;)
		pause();
}

static void
after_a_kill_the_next_start_waits_for_the_old_server_to_end(void **state)
{
	struct world *w = *state;
	struct embedded_redis *r;
	struct err e;
	int say[2];
	pid_t other, old, now;

	assert_int_equal(pipe(say), 0);
	other = fork();
	if (other == 0)
		be_another_sync(w, say[1]);
	assert_int_equal(read(say[0], &old, sizeof(old)), sizeof(old));
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	r = embedded_redis_start(w->base, &w->conf, &e);
	assert_non_null(r);
	connect_rds(w);
	/* Until it has ended, the old one may still answer. */
	while ((now = server_pid(w)) == 0 || now == old)
		wait_up(w);
	assert_false(is_running(old));
	assert_string_equal(ask(w, "GET", "a", NULL), "theirs");
	assert_string_equal(ask(w, "SET", "a", "ours"), "OK");
	rds_free(w->rds);
	embedded_redis_stop(r);
	close(say[0]);
	close(say[1]);
}

static void
a_password_is_asked_for_when_one_is_set(void **state)
{
	struct world *w = *state;
	struct err e;
	struct embedded_redis *r;

	free(w->conf.redis.password);
	w->conf.redis.password = xstrdup("with \"quotes\" and \\");
	r = embedded_redis_start(w->base, &w->conf, &e);
	assert_non_null(r);
	connect_rds(w);
	assert_string_equal(ask(w, "SET", "a", "1"), "OK");
	rds_free(w->rds);
	embedded_redis_stop(r);
}

static void
a_run_dir_too_long_for_a_socket_is_refused_with_the_numbers(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };

	free(w->conf.embedded_url);
	w->conf.embedded_url = xasprintf("unix:/%0120d", 7);
	assert_null(embedded_redis_start(w->base, &w->conf, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "is 121 characters long"));
	assert_non_null(strstr(e.text, "at most 107"));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_private_server_answers_and_its_files_are_ours_alone),
		TEST(what_was_written_is_there_after_a_restart),
		TEST(a_server_that_is_killed_is_started_again_with_its_data),
		TEST(
		    after_a_kill_the_next_start_waits_for_the_old_server_to_end),
		TEST(a_password_is_asked_for_when_one_is_set),
		TEST(
		    a_run_dir_too_long_for_a_socket_is_refused_with_the_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
