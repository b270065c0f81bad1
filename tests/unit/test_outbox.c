/* The outbox: what is kept, until when, and what it does with a bad disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/seal.h"
#include "common/worker.h"

#include "sync/bundle.h"
#include "sync/cert.h"
#include "sync/outbox.h"
#include <event2/event.h>

#define MAX 8
#define NAME "www.shop.example"
#define REAL "certfleet.invalid"
#define URL "https://ca.example/order/1"
#define KEY "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"
#define SHA_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define SHA_B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

static struct {
	char dir[64], sub[80], ring_path[80];
	struct seal_ring *ring;
	struct outbox *box;
	struct event_base *base;
	struct worker *worker;
} it;

static void
open_box(void)
{
	struct err e;

	it.box = outbox_new(it.dir, it.ring, MAX, true, &e);
	assert_non_null(it.box);
}

static void
reopen(void)
{
	outbox_free(it.box);
	open_box();
}

static int
set_up(void **state)
{
	struct err e;

	(void)state;
	snprintf(it.dir, sizeof(it.dir), "/tmp/cf-outbox-XXXXXX");
	assert_non_null(mkdtemp(it.dir));
	snprintf(it.sub, sizeof(it.sub), "%s/outbox", it.dir);
	snprintf(it.ring_path, sizeof(it.ring_path), "%s/kek", it.dir);
	assert_int_equal(seal_ring_create(it.ring_path, &e), 0);
	it.ring = seal_ring_load(it.ring_path, &e);
	assert_non_null(it.ring);
	open_box();
	return 0;
}

/* Call fn with the path of each file in the outbox; how many there are. */
static int
each_file(void (*fn)(const char *path))
{
	DIR *dir = opendir(it.sub);
	const struct dirent *d;
	int n = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		char *path = xasprintf("%s/%s", it.sub, d->d_name);

		if (d->d_name[0] != '.') {
			n++;
			if (fn != NULL)
				fn(path);
		}
		free(path);
	}
	if (dir != NULL)
		closedir(dir);
	return n;
}

static void
remove_file(const char *path)
{
	unlink(path);
}

static int
tear_down(void **state)
{
	(void)state;
	outbox_free(it.box);
	seal_ring_free(it.ring);
	each_file(remove_file);
	rmdir(it.sub);
	unlink(it.ring_path);
	rmdir(it.dir);
	return 0;
}

/* The key that is kept for NAME, "" when there is none. */
static const char *
key_of(const char *was)
{
	static char text[256];
	char *url, *key;

	text[0] = '\0';
	if (outbox_get_key(it.box, NAME, was, &url, &key))
		snprintf(text, sizeof(text), "%s %s", url, key);
	free(url);
	mem_wipe_free(key);
	return text;
}

static void
is_closed_and_sealed(const char *path)
{
	struct stat st;
	char bytes[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof(bytes));

	close(fd);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(n > 0);
	assert_null(memmem(bytes, (size_t)n, "secret", 6));
	assert_null(memmem(bytes, (size_t)n, "ca.example", 10));
}

static void
a_key_comes_back_after_a_restart(void **state)
{
	(void)state;
	outbox_put_key(it.box, NAME, URL, "", KEY, NULL, NULL);
	assert_int_equal(each_file(is_closed_and_sealed), 1);
	reopen();
	assert_string_equal(key_of(""), URL " " KEY);
	assert_string_equal(key_of(""), URL " " KEY);
}

static void
a_key_for_what_has_been_replaced_since_is_dropped(void **state)
{
	(void)state;
	outbox_put_key(it.box, NAME, URL, SHA_A, KEY, NULL, NULL);
	assert_string_equal(key_of(SHA_B), "");
	assert_int_equal(outbox_size(it.box), 0);
	assert_int_equal(each_file(NULL), 0);
}

static void
a_certificate_takes_the_place_of_its_key(void **state)
{
	(void)state;
	outbox_put_key(it.box, NAME, URL, "", KEY, NULL, NULL);
	outbox_put_bundle(it.box, NAME, SHA_A, 9000, "bundle", 6);
	assert_string_equal(key_of(""), "");
	assert_int_equal(each_file(NULL), 1);
}

static void
see(void *arg, const char *name, const void *bundle, size_t len)
{
	struct buf *seen = arg;

	(void)bundle;
	buf_putf(seen, "%s %zu;", name, len);
}

static const char *
told(bool unknown)
{
	static char text[256];
	struct buf seen;

	buf_init(&seen, 200);
	buf_puts(&seen, "");
	outbox_each(it.box, unknown, see, &seen);
	snprintf(text, sizeof(text), "%.*s", (int)seen.len,
	    seen.p != NULL ? seen.p : "");
	buf_clear(&seen);
	return text;
}

/* One that can be opened; the others would not outlive a restart. */
static void
put_real(char sha1[static 41], int64_t *not_after, char expected[static 256])
{
	char *pem = cert_placeholder();
	struct cert cert = { 0 };
	struct buf bundle;
	struct err e;

	buf_init(&bundle, BUNDLE_MAX);
	assert_int_equal(cert_parse(&cert, pem, strlen(pem), &e), 0);
	assert_int_equal(
	    bundle_pack(it.ring, REAL, &cert, pem, &bundle, &e), 0);
	memcpy(sha1, cert.sha1, 41);
	*not_after = cert.not_after;
	outbox_put_bundle(it.box, REAL, sha1, *not_after, bundle.p, bundle.len);
	snprintf(expected, 256, REAL " %zu;", bundle.len);
	buf_clear(&bundle);
	cert_clear(&cert);
	mem_wipe_free(pem);
}

static void
certificates_are_told_after_a_restart(void **state)
{
	char sha1[41], expected[256];
	int64_t not_after;

	(void)state;
	put_real(sha1, &not_after, expected);
	outbox_put_bundle(it.box, NAME, SHA_A, 9000, "no bundle", 9);
	reopen();
	assert_string_equal(told(false), expected);
	assert_int_equal(each_file(NULL), 1);
	/* It is the one that was put. */
	outbox_indexed(it.box, REAL, SHA_A, not_after);
	assert_int_equal(outbox_unknown(it.box), 1);
	outbox_indexed(it.box, REAL, sha1, 1);
	assert_int_equal(outbox_size(it.box), 0);
}

static void
what_is_not_known_to_be_in_redis_is_offered_until_it_is(void **state)
{
	(void)state;
	outbox_put_bundle(it.box, NAME, SHA_A, 9000, "bundle", 6);
	outbox_committed(it.box, NAME, 7);
	assert_int_equal(outbox_unknown(it.box), 0);
	assert_string_equal(told(true), "");
	outbox_indexed(it.box, NAME, SHA_B, 9500);
	assert_int_equal(outbox_size(it.box), 1);
	outbox_unsure(it.box);
	assert_string_equal(told(true), NAME " 6;");
	outbox_indexed(it.box, NAME, SHA_B, 9000);
	outbox_held(it.box, NAME, SHA_B);
	assert_int_equal(outbox_unknown(it.box), 1);
	outbox_indexed(it.box, NAME, SHA_B, 9500);
	assert_int_equal(outbox_size(it.box), 0);
	outbox_put_bundle(it.box, NAME, SHA_A, 9000, "bundle", 6);
	outbox_held(it.box, NAME, SHA_A);
	assert_int_equal(outbox_size(it.box), 0);
}

/* Node and replica, in both orders; each alone is not enough. */
static void
it_is_kept_until_a_node_and_a_replica_have_it(void **state)
{
	const struct gens before = { 1, { 6 } }, reached = { 1, { 7 } };
	int64_t mark;

	(void)state;
	for (int first = 0; first < 2; first++) {
		outbox_put_bundle(it.box, NAME, SHA_A, 9000, "bundle", 6);
		mark = outbox_mark(it.box);
		outbox_committed(it.box, NAME, 7);
		assert_true(outbox_waits(it.box, 0, 1));
		outbox_acked(it.box, &before);
		outbox_replicated(it.box, 0, 1, mark); /* asked before */
		if (first == 0)
			outbox_acked(it.box, &reached);
		else
			outbox_replicated(it.box, 0, 1, outbox_mark(it.box));
		assert_int_equal(outbox_size(it.box), 1);
		if (first == 1)
			outbox_held(it.box, NAME, SHA_A);
		else
			outbox_replicated(it.box, 0, 1, outbox_mark(it.box));
		assert_int_equal(outbox_size(it.box), 0);
		assert_int_equal(each_file(NULL), 0);
	}
}

static void
another_certificate_held_does_not_count(void **state)
{
	(void)state;
	outbox_put_bundle(it.box, NAME, SHA_A, 9000, "bundle", 6);
	outbox_committed(it.box, NAME, 7);
	outbox_replicated(it.box, 0, 1, outbox_mark(it.box));
	outbox_held(it.box, NAME, SHA_B);
	assert_int_equal(outbox_size(it.box), 1);
}

/* What comes again, after Redis has lost it, is waited for again. */
static void
what_is_committed_again_is_waited_for_again(void **state)
{
	const struct gens reached = { 1, { 7 } };

	(void)state;
	outbox_put_bundle(it.box, NAME, SHA_A, 9000, "bundle", 6);
	outbox_committed(it.box, NAME, 7);
	outbox_acked(it.box, &reached);
	outbox_committed(it.box, NAME, 9);
	outbox_replicated(it.box, 0, 1, outbox_mark(it.box));
	assert_int_equal(outbox_size(it.box), 1);
}

static void
it_is_bounded_and_drops_what_a_node_has(void **state)
{
	char name[64];

	(void)state;
	for (int i = 0; i < MAX; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		outbox_put_bundle(it.box, name, SHA_A, 9000, "b", 1);
	}
	outbox_put_bundle(it.box, NAME, SHA_A, 9000, "b", 1);
	assert_int_equal(outbox_size(it.box), MAX);
	assert_int_equal(each_file(NULL), MAX);
	outbox_committed(it.box, "n5.example", 1);
	outbox_held(it.box, "n5.example", SHA_A);
	outbox_put_bundle(it.box, NAME, SHA_B, 9000, "b", 1);
	assert_int_equal(outbox_size(it.box), MAX);
	outbox_committed(it.box, NAME, 1);
	assert_true(outbox_waits(it.box, 0, 1));
}

static void
damage(const char *path)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, "?", 1, 40), 1);
	close(fd);
}

static void
what_is_damaged_or_of_another_name_is_passed_over(void **state)
{
	char *other = xasprintf("%s/%032d.key", it.sub, 7);
	int fd;

	(void)state;
	outbox_put_key(it.box, NAME, URL, "", KEY, NULL, NULL);
	each_file(damage);
	fd = open(other, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(
	    write(fd, NAME "\nx", strlen(NAME) + 2), (ssize_t)strlen(NAME) + 2);
	close(fd);
	free(other);
	reopen();
	assert_int_equal(outbox_size(it.box), 1);
	assert_string_equal(key_of(""), "");
}

static void
an_account_is_kept_and_is_no_domain(void **state)
{
	char *url, *key;

	(void)state;
	assert_false(outbox_get_account(it.box, URL, &url, &key));
	outbox_put_account(it.box, URL, KEY, "");
	outbox_put_account(it.box, URL, KEY, "https://ca.example/acct/1");
	reopen();
	assert_int_equal(outbox_size(it.box), 0);
	assert_true(outbox_get_account(it.box, URL, &url, &key));
	assert_string_equal(url, "https://ca.example/acct/1");
	assert_string_equal(key, KEY);
	free(url);
	mem_wipe_free(key);
}

static ino_t
inode_of_last(void)
{
	static ino_t ino;
	DIR *dir = opendir(it.sub);
	const struct dirent *d;

	while ((d = readdir(dir)) != NULL)
		if (d->d_name[0] != '.')
			ino = d->d_ino;
	closedir(dir);
	return ino;
}

static void
a_dropped_file_is_written_anew_and_gone_at_the_end(void **state)
{
	char *spare = xasprintf("%s/.tmp-spare-0", it.sub);
	ino_t first;

	(void)state;
	outbox_put_key(it.box, NAME, URL, "", KEY, NULL, NULL);
	first = inode_of_last();
	outbox_drop(it.box, NAME);
	assert_int_equal(each_file(NULL), 0);
	assert_int_equal(access(spare, F_OK), 0);
	outbox_put_key(it.box, "other.example", URL, "", KEY, NULL, NULL);
	assert_int_equal(each_file(NULL), 1);
	assert_int_equal(inode_of_last(), first);
	assert_string_equal(key_of(""), "");
	outbox_drop(it.box, "other.example");
	reopen();
	assert_int_equal(access(spare, F_OK), -1);
	assert_int_equal(each_file(NULL), 0);
	free(spare);
}

static void
on_flushed(void *arg)
{
	*(int *)arg += 1;
	loop_stop(it.base);
}

static void
an_order_hears_when_the_disk_has_its_key(void **state)
{
	int heard = 0, cancelled = 0;

	(void)state;
	it.base = loop_new();
	it.worker = worker_new(it.base);
	outbox_worker(it.box, it.worker);
	assert_true(outbox_put_key(
	    it.box, "b.example", URL, "", KEY, on_flushed, &cancelled));
	outbox_cancel(it.box, &cancelled);
	assert_true(
	    outbox_put_key(it.box, NAME, URL, "", KEY, on_flushed, &heard));
	assert_int_equal(heard, 0);
	event_base_dispatch(it.base);
	assert_int_equal(heard, 1);
	assert_int_equal(cancelled, 0);
	assert_string_equal(key_of(""), URL " " KEY);
	/* Nobody is left to hear of this one. */
	assert_true(
	    outbox_put_key(it.box, NAME, URL, "", KEY, on_flushed, &heard));
	reopen();
	worker_free(it.worker);
	event_base_free(it.base);
	assert_int_equal(heard, 1);
	assert_string_equal(key_of(""), URL " " KEY);
}

/* What stood there before must not stand behind it. */
static void
a_short_one_takes_the_place_of_a_long_one(void **state)
{
	char longer[2048];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	outbox_put_key(it.box, NAME, URL, "", longer, NULL, NULL);
	outbox_drop(it.box, NAME);
	outbox_put_key(it.box, NAME, URL, "", KEY, NULL, NULL);
	assert_int_equal(each_file(is_closed_and_sealed), 1);
	assert_string_equal(key_of(""), URL " " KEY);
}

static void
no_outbox_keeps_nothing(void **state)
{
	char *url, *key;

	(void)state;
	outbox_put_key(NULL, NAME, URL, "", KEY, NULL, NULL);
	outbox_put_bundle(NULL, NAME, SHA_A, 9000, "b", 1);
	outbox_drop(NULL, NAME);
	assert_false(outbox_get_key(NULL, NAME, "", &url, &key));
	assert_false(outbox_waits(NULL, 0, 1));
	assert_int_equal(outbox_size(NULL), 0);
}

#define with_box(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_box(a_key_comes_back_after_a_restart),
		with_box(a_key_for_what_has_been_replaced_since_is_dropped),
		with_box(a_certificate_takes_the_place_of_its_key),
		with_box(certificates_are_told_after_a_restart),
		with_box(
		    what_is_not_known_to_be_in_redis_is_offered_until_it_is),
		with_box(it_is_kept_until_a_node_and_a_replica_have_it),
		with_box(another_certificate_held_does_not_count),
		with_box(what_is_committed_again_is_waited_for_again),
		with_box(it_is_bounded_and_drops_what_a_node_has),
		with_box(what_is_damaged_or_of_another_name_is_passed_over),
		with_box(an_account_is_kept_and_is_no_domain),
		with_box(a_dropped_file_is_written_anew_and_gone_at_the_end),
		with_box(an_order_hears_when_the_disk_has_its_key),
		with_box(a_short_one_takes_the_place_of_a_long_one),
		cmocka_unit_test(no_outbox_keeps_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
