/* Files that are written before they are put in their places. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/worker.h"
#include "haproxy/disk.h"
#include "haproxy/stage.h"

#include <event2/event.h>

static struct {
	struct event_base *base;
	struct worker *worker;
	char dir[64], path[80];
	/* What is put when the stage is ready, and how that went. */
	const char *put;
	int rc, called, there;
	struct err e;
} it;

static int
set_up(void **state)
{
	(void)state;
	memset(&it, 0, sizeof(it));
	snprintf(it.dir, sizeof(it.dir), "/tmp/cf-stage-XXXXXX");
	assert_non_null(mkdtemp(it.dir));
	snprintf(it.path, sizeof(it.path), "%s/file", it.dir);
	it.base = loop_new();
	it.worker = worker_new(it.base);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	worker_free(it.worker);
	event_base_free(it.base);
	unlink(it.path);
	rmdir(it.dir);
	return 0;
}

static int
count_files(void)
{
	DIR *dir = opendir(it.dir);
	const struct dirent *d;
	int n = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL)
		n +=
		    strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	if (dir != NULL)
		closedir(dir);
	return n;
}

static void
staged(void *arg, struct stage *s)
{
	(void)arg;
	it.called++;
	it.there = count_files();
	if (it.put != NULL)
		it.rc = stage_put(s, it.path, it.put, strlen(it.put), &it.e);
	loop_stop(it.base);
}

static struct stage *
stage(const char *text)
{
	return stage_new(it.worker, it.path, text, strlen(text), staged, NULL);
}

static ino_t
holds(const char *text)
{
	struct stat st;
	struct buf file;
	struct err e;

	buf_init(&file, 1024);
	assert_int_equal(disk_read(it.path, &file, &e), 0);
	assert_int_equal(file.len, strlen(text));
	assert_memory_equal(file.p, text, file.len);
	buf_clear(&file);
	assert_int_equal(stat(it.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	return st.st_ino;
}

static void
what_was_written_is_put_in_its_place(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(disk_write(it.path, "old", 3, &e), 0);
	it.put = "new one";
	stage("new one");
	event_base_dispatch(it.base);
	assert_int_equal(it.rc, 0);
	assert_int_equal(it.there, 2);
	assert_int_equal(count_files(), 1);
	holds("new one");
}

static void
what_is_left_leaves_no_file(void **state)
{
	(void)state;
	stage("never used");
	event_base_dispatch(it.base);
	assert_int_equal(it.called, 1);
	assert_int_equal(it.there, 1);
	assert_int_equal(count_files(), 0);
}

static void
one_that_is_cancelled_tells_nobody(void **state)
{
	(void)state;
	stage_cancel(stage("never used"));
	worker_free(it.worker);
	it.worker = NULL;
	assert_int_equal(it.called, 0);
	assert_int_equal(count_files(), 0);
}

static void
other_bytes_are_written_then(void **state)
{
	(void)state;
	it.put = "other";
	stage("these");
	event_base_dispatch(it.base);
	assert_int_equal(it.rc, 0);
	assert_int_equal(count_files(), 1);
	holds("other");
}

static void
what_is_there_already_is_left_alone(void **state)
{
	struct err e;
	ino_t was;

	(void)state;
	assert_int_equal(disk_write(it.path, "same", 4, &e), 0);
	was = holds("same");
	it.put = "same";
	stage("same");
	event_base_dispatch(it.base);
	assert_int_equal(it.rc, 0);
	assert_int_equal(it.there, 1);
	assert_int_equal(holds("same"), was);
}

static void
a_directory_that_is_gone_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(rmdir(it.dir), 0);
	it.put = "new";
	stage("new");
	event_base_dispatch(it.base);
	assert_int_equal(it.rc, -1);
	assert_int_equal(it.e.kind, ERR_AGAIN);
	assert_non_null(strstr(it.e.text, it.path));
}

#define with_stage(test) \
	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(what_was_written_is_put_in_its_place),
		with_stage(what_is_left_leaves_no_file),
		with_stage(one_that_is_cancelled_tells_nobody),
		with_stage(other_bytes_are_written_then),
		with_stage(what_is_there_already_is_left_alone),
		with_stage(a_directory_that_is_gone_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
