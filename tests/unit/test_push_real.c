/* push, files and handshake against the HAProxy that is installed. */
#include "haproxy/push.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/buf.h"
#include "common/loop.h"
#include "haproxy/files.h"
#include "haproxy/handshake.h"
#include "tests/unit/certs.h"

#define NCERTS 50
#define PATIENCE_MS 20000

struct wanted {
	char name[64];
	char path[FILES_PATH_MAX];
	char sha1[41];
};

static struct {
	char dir[64], socket[96], crt_list[96], state_dir[96], address[32];
	int port;
	pid_t haproxy;
	struct event_base *base;
	struct event *timer;
	struct files *files;
	struct push *push;
	struct push_conf conf;
	struct wanted want[NCERTS];
	unsigned int done, failed, processes;
	char last_error[256];
	char shaken[41]; /* what a handshake showed */
	bool shook, late;
} w;

static void
on_done(void *arg, const char *path, const char *sha1, const struct err *e)
{
	(void)arg, (void)path, (void)sha1;
	if (e == NULL) {
		w.done++;
		return;
	}
	w.failed++;
	snprintf(w.last_error, sizeof(w.last_error), "%s", e->text);
}

static void
on_process(void *arg, int pid, const char *version)
{
	(void)arg, (void)pid, (void)version;
	w.processes++;
}

static int
unlink_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st, (void)flag, (void)where;
	return remove(path);
}

static int
begin(void **state)
{
	struct err e = { 0 };

	(void)state;
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/test-push-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	snprintf(w.socket, sizeof(w.socket), "%s/admin.sock", w.dir);
	snprintf(w.crt_list, sizeof(w.crt_list), "%s/crt-list.txt", w.dir);
	snprintf(w.state_dir, sizeof(w.state_dir), "%s/state", w.dir);
	w.port = certs_port();
	snprintf(w.address, sizeof(w.address), "127.0.0.1:%d", w.port);
	certs_haproxy_config(w.dir, w.port, 32768);
	w.haproxy = certs_haproxy_start(w.dir, 0);
	assert_true(certs_haproxy_ready(w.dir));
	w.base = loop_new();
	w.files = files_new(w.state_dir, w.dir, w.crt_list, &e);
	if (w.files == NULL)
		fail_msg("%s", e.text);
	w.conf = (struct push_conf){ .socket = w.socket,
		.crt_list = w.crt_list,
		.bufsize = 32768,
		.poll_ms = 50,
		.per_s = 0,
		.command_timeout_ms = 5000 };
	w.push = push_new(w.base, &w.conf, on_done, on_process, NULL);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	push_free(w.push);
	files_free(w.files);
	loop_timer_free(&w.timer);
	event_base_free(w.base);
	certs_haproxy_stop(w.haproxy);
	return nftw(w.dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
on_late(void *arg)
{
	(void)arg;
	w.late = true;
}

/* Run the loop until it is true; fails when that takes too long. */
#define UNTIL(what)                                                       \
	do {                                                              \
		w.late = false;                                           \
		loop_after(w.base, &w.timer, PATIENCE_MS, on_late, NULL); \
		while (!(what) && !w.late)                                \
			event_base_loop(w.base, EVLOOP_ONCE);             \
		if (w.late)                                               \
			fail_msg("%s: never (%s)", #what, w.last_error);  \
	} while (0)

static void
renew(struct wanted *x)
{
	struct err e = { 0 };
	char *pem = certs_pem(x->name, x->sha1);

	if (files_put(w.files, x->name, "sealed", 6, NULL, pem, &e) == -1)
		fail_msg("%s", e.text);
	free(pem);
	files_path(w.files, x->name, x->path);
	push_want(w.push, x->path, x->sha1, x->name);
}

static void
want_all(void)
{
	struct err e = { 0 };
	int i;

	for (i = 0; i < NCERTS; i++) {
		snprintf(w.want[i].name, sizeof(w.want[i].name),
		    i == 0 ? "*.wild.example" : "n%d.push.example", i);
		renew(&w.want[i]);
	}
	assert_int_equal(files_sync(w.files, &e), 0);
}

static unsigned int
served(void)
{
	struct push_status s;

	push_status(w.push, &s);
	return s.served;
}

static int
pid(void)
{
	struct push_status s;

	push_status(w.push, &s);
	return s.pid;
}

static void
on_handshake(void *arg, const char *sha1, const struct err *e)
{
	(void)arg;
	w.shook = true;
	snprintf(w.shaken, sizeof(w.shaken), "%s", sha1 != NULL ? sha1 : "");
	if (sha1 == NULL)
		snprintf(w.last_error, sizeof(w.last_error), "%s", e->text);
}

static const char *
shake(const char *name)
{
	w.shook = false;
	handshake_start(w.base, w.address, name, 5000, on_handshake, NULL);
	assert_false(w.shook);
	UNTIL(w.shook);
	return w.shaken;
}

static void
fifty_certificates_are_pushed_renewed_and_removed(void **state)
{
	struct push_status s;
	struct wanted *x = &w.want[7];
	struct err e = { 0 };
	char old[41];

	(void)state;
	want_all();
	UNTIL(w.done == NCERTS);
	assert_int_equal(w.failed, 0);
	assert_int_equal(w.processes, 1);
	assert_string_equal(shake(x->name), x->sha1);
	assert_string_equal(shake("any.wild.example"), w.want[0].sha1);

	memcpy(old, x->sha1, sizeof(old));
	renew(x);
	assert_string_not_equal(old, x->sha1);
	UNTIL(w.done == NCERTS + 1);
	assert_string_equal(push_served(w.push, x->path), x->sha1);
	assert_string_equal(shake(x->name), x->sha1);

	assert_int_equal(files_remove(w.files, x->name, &e), 0);
	push_unwant(w.push, x->path);
	assert_string_equal(push_served(w.push, x->path), "");
	UNTIL(strcmp(shake(x->name), x->sha1) != 0);
	push_status(w.push, &s);
	assert_true(s.up);
	assert_false(s.wedged);
	assert_int_equal(s.pid, w.haproxy);
	assert_int_equal(s.wanted, NCERTS - 1);
	assert_int_equal(s.waiting, 0);
	assert_string_equal(s.error, "");
	assert_int_equal(w.failed, 0);
}

/* It comes up from the files; only what they lack is pushed. */
static void
a_restarted_haproxy_is_compared_and_brought_up_to_date(void **state)
{
	struct wanted *x = &w.want[3];

	(void)state;
	want_all();
	UNTIL(w.done == NCERTS);
	certs_haproxy_stop(w.haproxy);
	UNTIL(served() == NCERTS && w.shook == false);
	renew(x); /* while it is away */
	w.haproxy = certs_haproxy_start(w.dir, 0);
	UNTIL(w.processes == 2 && served() == NCERTS);
	assert_int_equal(w.done, NCERTS + 1);
	assert_string_equal(shake(x->name), x->sha1);
	assert_string_equal(shake(w.want[9].name), w.want[9].sha1);
}

/* Everything was lost, files too: nothing but the push brings it back. */
static void
a_haproxy_that_starts_empty_is_filled_again(void **state)
{
	(void)state;
	want_all();
	UNTIL(w.done == NCERTS);
	certs_haproxy_stop(w.haproxy);
	certs_write(w.crt_list, "");
	w.haproxy = certs_haproxy_start(w.dir, 0);
	UNTIL(w.processes == 2 && served() == NCERTS);
	assert_int_equal(w.done, NCERTS); /* reported once */
	assert_string_equal(shake(w.want[9].name), w.want[9].sha1);
}

static void
reloads_in_the_middle_of_pushes_lose_nothing(void **state)
{
	pid_t old;
	int i, j;

	(void)state;
	want_all();
	for (i = 0; i < 6; i++) {
		UNTIL(w.done >= (unsigned int)(i + 1) * 3);
		old = w.haproxy;
		w.haproxy = certs_haproxy_start(w.dir, old);
		/* Before, while and after the new process reads its files. */
		for (j = 0; pid() != w.haproxy; j++) {
			renew(&w.want[j % NCERTS]);
			event_base_loop(w.base, EVLOOP_ONCE);
		}
		waitpid(old, NULL, 0);
	}
	UNTIL(served() == NCERTS);
	for (i = 0; i < NCERTS; i++)
		assert_string_equal(
		    shake(i == 0 ? "any.wild.example" : w.want[i].name),
		    w.want[i].sha1);
}

static void
what_nobody_wants_any_more_is_pruned(void **state)
{
	struct wanted gone;

	(void)state;
	want_all();
	UNTIL(w.done == NCERTS);
	gone = w.want[5];
	/* A new program that was not told about one of them. */
	push_free(w.push);
	w.push = push_new(w.base, &w.conf, on_done, on_process, NULL);
	w.done = 0;
	for (int i = 0; i < NCERTS; i++)
		if (i != 5)
			push_want(w.push, w.want[i].path, w.want[i].sha1,
			    w.want[i].name);
	UNTIL(w.done == NCERTS - 1);
	assert_string_equal(shake(gone.name), gone.sha1);
	push_prune(w.push);
	UNTIL(strcmp(shake(gone.name), gone.sha1) != 0);
	assert_string_equal(shake(w.want[6].name), w.want[6].sha1);
	assert_int_equal(w.failed, 0);
}

/* A PEM of lines that HAProxy would not find in a certificate. */
static void
what_is_too_large_is_refused_with_the_numbers(void **state)
{
	struct err e = { 0 };
	char path[FILES_PATH_MAX], *pem;
	struct buf big;

	(void)state;
	buf_init(&big, 65536);
	buf_puts(&big, "-----BEGIN CERTIFICATE-----\n");
	while (big.len < 39900)
		buf_putf(&big, "%064d\n", 0);
	buf_puts(&big, "-----END CERTIFICATE-----\n");
	pem = buf_take(&big);
	assert_int_equal(
	    files_put(w.files, "big.example.com", "b", 1, NULL, pem, &e), 0);
	free(pem);
	files_path(w.files, "big.example.com", path);
	push_want(w.push, path, "AA", "big.example.com");
	UNTIL(w.failed == 1);
	assert_non_null(strstr(w.last_error, "32768"));
	assert_non_null(strstr(w.last_error, "65536"));
	want_all(); /* and the others go on */
	UNTIL(w.done == NCERTS);
	assert_int_equal(w.failed, 1);
}

static void
certificates_up_to_the_limit_go_through(void **state)
{
	struct err e = { 0 };
	char sha1[41], path[FILES_PATH_MAX], *pem, *one, *other;
	struct buf large;

	(void)state;
	one = certs_pem("limit.example.com", sha1);
	other = strrchr(one, 'B'); /* of the intermediate's BEGIN */
	while (strncmp(other, "-----BEGIN", 10) != 0)
		other--;
	buf_init(&large, 65536);
	buf_puts(&large, one);
	while (large.len + strlen(other) + 256 < 32768)
		buf_puts(&large, other);
	pem = buf_take(&large);
	assert_int_equal(
	    files_put(w.files, "limit.example.com", "b", 1, NULL, pem, &e), 0);
	files_path(w.files, "limit.example.com", path);
	push_want(w.push, path, sha1, "limit.example.com");
	/* Others before and behind it in the same conversation. */
	want_all();
	UNTIL(w.done == NCERTS + 1);
	assert_int_equal(w.failed, 0);
	assert_string_equal(shake("limit.example.com"), sha1);
	free(pem);
	free(one);
}

static void
a_key_of_another_certificate_is_refused_alone(void **state)
{
	char sha1[41], other_sha1[41], path[FILES_PATH_MAX];
	char *a = certs_pem("bad.example.com", sha1);
	char *b = certs_pem("bad.example.com", other_sha1);
	struct err e = { 0 };
	char *mixed;
	int i;

	(void)state;
	mixed = xasprintf("%.*s%s", (int)(strstr(a, "-----BEGIN CERT") - a), a,
	    strstr(b, "-----BEGIN CERT"));
	assert_int_equal(
	    files_put(w.files, "bad.example.com", "b", 1, NULL, mixed, &e), 0);
	files_path(w.files, "bad.example.com", path);
	push_want(w.push, path, other_sha1, "bad.example.com");
	want_all();
	UNTIL(w.done == NCERTS && w.failed == 1);
	assert_non_null(strstr(w.last_error, "bad.example.com"));
	assert_non_null(strstr(w.last_error, "inconsistencies"));
	for (i = 0; i < 2; i++)
		renew(&w.want[i]);
	UNTIL(w.done == NCERTS + 2);
	assert_int_equal(w.failed, 1);
	free(a);
	free(b);
	free(mixed);
}

static void
changes_are_paced_while_traffic_runs(void **state)
{
	int64_t start;
	int i;

	(void)state;
	want_all();
	UNTIL(w.done == NCERTS);
	push_free(w.push);
	w.conf.per_s = 50;
	w.push = push_new(w.base, &w.conf, on_done, on_process, NULL);
	w.done = 0;
	for (i = 0; i < NCERTS; i++)
		push_want(
		    w.push, w.want[i].path, w.want[i].sha1, w.want[i].name);
	UNTIL(w.done == NCERTS); /* by looking: nothing to change */
	start = loop_now_ms();
	for (i = 0; i < NCERTS; i++)
		renew(&w.want[i]);
	UNTIL(w.done == 2 * NCERTS);
	assert_true(loop_now_ms() - start >= 800);
	assert_int_equal(w.failed, 0);
}

static void
duplicate_entries_of_a_crt_list_are_healed(void **state)
{
	char *list, *line;

	(void)state;
	want_all();
	UNTIL(w.done == NCERTS);
	certs_haproxy_stop(w.haproxy);
	line = xasprintf("%s %s\n", w.want[4].path, w.want[4].name);
	list = xasprintf(
	    "%s%s%s other.example.com\n%s", line, line, w.want[4].path, line);
	certs_write(w.crt_list, list);
	w.haproxy = certs_haproxy_start(w.dir, 0);
	UNTIL(w.processes == 2 && served() == NCERTS);
	assert_string_equal(shake(w.want[4].name), w.want[4].sha1);
	assert_string_not_equal(shake("other.example.com"), w.want[4].sha1);
	push_unwant(w.push, w.want[4].path);
	UNTIL(strcmp(shake(w.want[4].name), w.want[4].sha1) != 0);
	assert_int_equal(w.failed, 0);
	free(list);
	free(line);
}

static void
a_handshake_that_cannot_be_says_why(void **state)
{
	char keep[32];

	(void)state;
	memcpy(keep, w.address, sizeof(keep));
	snprintf(w.address, sizeof(w.address), "localhost");
	assert_string_equal(shake("a.example.com"), "");
	assert_non_null(strstr(w.last_error, "127.0.0.1:443"));
	snprintf(w.address, sizeof(w.address), "127.0.0.1:%d", certs_port());
	assert_string_equal(shake("a.example.com"), "");
	assert_non_null(strstr(w.last_error, "refused"));
	memcpy(w.address, keep, sizeof(keep));
	assert_int_equal(strlen(shake("nobody.example.com")), 40);
	handshake_cancel(handshake_start(
	    w.base, w.address, "a.example.com", 5000, on_handshake, NULL));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fifty_certificates_are_pushed_renewed_and_removed),
		TEST(a_restarted_haproxy_is_compared_and_brought_up_to_date),
		TEST(a_haproxy_that_starts_empty_is_filled_again),
		TEST(reloads_in_the_middle_of_pushes_lose_nothing),
		TEST(what_nobody_wants_any_more_is_pruned),
		TEST(what_is_too_large_is_refused_with_the_numbers),
		TEST(certificates_up_to_the_limit_go_through),
		TEST(a_key_of_another_certificate_is_refused_alone),
		TEST(changes_are_paced_while_traffic_runs),
		TEST(duplicate_entries_of_a_crt_list_are_healed),
		TEST(a_handshake_that_cannot_be_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
