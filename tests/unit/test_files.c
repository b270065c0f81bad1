#include "haproxy/files.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/mem.h"
#include "haproxy/disk.h"

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static char top[] = "/tmp/test-files-XXXXXX";
static char state_dir[64], cert_dir[64], crt_list[96];

static int
unlink_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st, (void)flag, (void)where;
	return remove(path);
}

static int
begin(void **state)
{
	(void)state;
	memcpy(top + strlen(top) - 6, "XXXXXX", 6);
	assert_non_null(mkdtemp(top));
	snprintf(state_dir, sizeof(state_dir), "%s/state", top);
	snprintf(cert_dir, sizeof(cert_dir), "%s/run/certs", top);
	snprintf(crt_list, sizeof(crt_list), "%s/crt-list.txt", cert_dir);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	return nftw(top, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct files *
open_files(void)
{
	struct err e = { 0 };
	struct files *f = files_new(state_dir, cert_dir, crt_list, &e);

	if (f == NULL)
		fail_msg("%s", e.text);
	return f;
}

static void
put(struct files *f, const char *name, const char *bundle)
{
	struct err e = { 0 };

	if (files_put(f, name, bundle, strlen(bundle), NULL, PEM, &e) == -1)
		fail_msg("%s", e.text);
}

static char *
contents(const char *path)
{
	struct err e = { 0 };
	struct buf b;

	buf_init(&b, 1 << 20);
	if (disk_read(path, &b, &e) == -1)
		fail_msg("%s", e.text);
	return buf_take(&b);
}

static void
holds(const char *path, const char *text)
{
	char *is = contents(path);

	assert_string_equal(is, text);
	free(is);
}

static bool
lists(const char *text)
{
	char *is = contents(crt_list);
	bool found = strstr(is, text) != NULL;

	free(is);
	return found;
}

static void
an_empty_crt_list_is_written_so_that_haproxy_starts(void **state)
{
	struct files *f = open_files();
	struct err e = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(files_sync(f, &e), 0);
	holds(crt_list, "");
	assert_int_equal(stat(crt_list, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(cert_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	files_free(f);
}

static void
the_crt_list_is_sorted_and_has_name_filters(void **state)
{
	struct files *f = open_files();
	char wild[FILES_PATH_MAX], a[FILES_PATH_MAX], b[FILES_PATH_MAX];
	char name[DOMAIN_NAME_MAX];
	struct err e = { 0 };
	char *want;

	(void)state;
	put(f, "b.example.com", "B");
	put(f, "*.example.com", "W");
	put(f, "a.example.com", "A");
	put(f, "a.example.com", "A2");
	assert_int_equal(files_sync(f, &e), 0);
	files_path(f, "*.example.com", wild);
	files_path(f, "a.example.com", a);
	files_path(f, "b.example.com", b);
	assert_null(strchr(wild, '*'));
	assert_int_equal(files_name(wild, name), 0);
	assert_string_equal(name, "*.example.com");
	assert_int_equal(files_name(a, name), 0);
	assert_string_equal(name, "a.example.com");
	assert_int_equal(files_name("/certs/crt-list.txt", name), -1);
	want = xasprintf("%s *.example.com\n%s a.example.com\n"
			 "%s b.example.com\n",
	    wild, a, b);
	holds(crt_list, want);
	holds(a, PEM);
	free(want);
	files_free(f);
}

struct seen {
	int n;
	char text[1024];
};

static void
see(void *arg, const char *name, const void *bundle, size_t len)
{
	struct seen *s = arg;
	size_t at = strlen(s->text);

	s->n++;
	snprintf(s->text + at, sizeof(s->text) - at, "%.60s=%.*s ", name,
	    (int)len, (const char *)bundle);
}

static void
bundles_come_back_with_their_names_after_a_restart(void **state)
{
	struct files *f = open_files();
	struct seen s = { 0 };
	struct err e = { 0 };
	char path[FILES_PATH_MAX];

	(void)state;
	put(f, "a.example.com", "A");
	put(f, "*.example.com", "W\nline");
	files_free(f);
	f = open_files();
	assert_int_equal(files_each(f, see, &s, &e), 0);
	assert_string_equal(s.text, "*.example.com=W\nline a.example.com=A ");
	assert_int_equal(files_sync(f, &e), 0);
	/* What HAProxy has in its directory is listed again without a put. */
	files_path(f, "a.example.com", path);
	assert_true(lists(path));
	files_free(f);
}

static void
a_pem_lost_with_the_tmpfs_is_not_listed_until_put_again(void **state)
{
	struct files *f = open_files();
	char path[FILES_PATH_MAX];
	struct err e = { 0 };

	(void)state;
	put(f, "a.example.com", "A");
	files_path(f, "a.example.com", path);
	files_free(f);
	assert_int_equal(unlink(path), 0);
	f = open_files();
	assert_int_equal(files_sync(f, &e), 0);
	holds(crt_list, "");
	put(f, "a.example.com", "A");
	assert_int_equal(files_sync(f, &e), 0);
	assert_true(lists("a.example.com"));
	files_free(f);
}

static void
names_of_253_characters_have_files_of_their_own(void **state)
{
	struct files *f = open_files();
	char name[2][254], path[2][FILES_PATH_MAX];
	struct seen s = { 0 };
	struct err e = { 0 };
	int i, j;

	(void)state;
	for (i = 0; i < 2; i++) {
		for (j = 0; j < 253; j++)
			name[i][j] = j % 50 == 49 ? '.' : 'a';
		name[i][252] = (char)('b' + i);
		name[i][253] = '\0';
		put(f, name[i], "L");
		files_path(f, name[i], path[i]);
		holds(path[i], PEM);
	}
	assert_string_not_equal(path[0], path[1]);
	assert_int_equal(files_each(f, see, &s, &e), 0);
	assert_int_equal(s.n, 2);
	files_free(f);
}

static void
a_removed_domain_leaves_the_list_before_its_files_go(void **state)
{
	struct files *f = open_files();
	char path[FILES_PATH_MAX];
	struct seen s = { 0 };
	struct err e = { 0 };

	(void)state;
	put(f, "a.example.com", "A");
	put(f, "b.example.com", "B");
	assert_int_equal(files_sync(f, &e), 0);
	assert_int_equal(files_remove(f, "a.example.com", &e), 0);
	assert_false(lists("a.example.com"));
	assert_true(lists("b.example.com"));
	files_path(f, "a.example.com", path);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(files_each(f, see, &s, &e), 0);
	assert_string_equal(s.text, "b.example.com=B ");
	/* Already gone is as good as removed. */
	assert_int_equal(files_remove(f, "a.example.com", &e), 0);
	files_free(f);
}

static void
temporary_files_of_a_crash_are_swept(void **state)
{
	char path[128];
	struct files *f = open_files();
	struct err e = { 0 };

	(void)state;
	files_free(f);
	snprintf(path, sizeof(path), "%s/.tmp-x.pem", cert_dir);
	assert_int_equal(disk_write(path, "x", 1, &e), 0);
	f = open_files();
	assert_int_equal(access(path, F_OK), -1);
	files_free(f);
}

static void
a_bundle_under_another_name_is_passed_over(void **state)
{
	struct files *f = open_files();
	char from[128], to[128];
	struct seen s = { 0 };
	struct err e = { 0 };

	(void)state;
	put(f, "a.example.com", "A");
	snprintf(
	    from, sizeof(from), "%s/certs/a.example.com.bundle", state_dir);
	snprintf(to, sizeof(to), "%s/certs/b.example.com.bundle", state_dir);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(files_each(f, see, &s, &e), 0);
	assert_int_equal(s.n, 0);
	files_free(f);
}

static void
a_directory_open_to_others_is_refused(void **state)
{
	struct files *f = open_files();
	struct err e = { 0 };

	(void)state;
	files_free(f);
	assert_int_equal(chmod(cert_dir, 0755), 0);
	assert_null(files_new(state_dir, cert_dir, crt_list, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "0700"));
}

static void
paths_that_haproxy_cannot_name_are_refused(void **state)
{
	static const char *const bad[] = { "relative/certs", "/tmp/a b",
		"/tmp/a;b", "/tmp/a\nb", "/tmp/a:1", "" };
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){ 0 };
		assert_null(files_new(state_dir, bad[i], crt_list, &e));
		assert_int_equal(e.kind, ERR_CONFIG);
		assert_null(files_new(state_dir, cert_dir, bad[i], &e));
	}
}

static void
links_are_replaced_and_never_followed(void **state)
{
	struct files *f = open_files();
	char path[FILES_PATH_MAX], victim[96];
	struct err e = { 0 };

	(void)state;
	snprintf(victim, sizeof(victim), "%s/victim", top);
	assert_int_equal(disk_write(victim, "untouched", 9, &e), 0);
	files_path(f, "a.example.com", path);
	assert_int_equal(symlink(victim, path), 0);
	put(f, "a.example.com", "A");
	holds(victim, "untouched");
	holds(path, PEM);
	files_free(f);
}

static void
a_full_disk_keeps_what_was_there(void **state)
{
	char path[FILES_PATH_MAX], *big;
	struct err e = { 0 };
	struct files *f;
	size_t i;

	(void)state;
	f = open_files();
	files_free(f);
	if (mount("tmpfs", cert_dir, "tmpfs", 0, "size=64k,mode=0700") == -1)
		skip(); /* only root may mount */
	f = open_files();
	put(f, "a.example.com", "A");
	assert_int_equal(files_sync(f, &e), 0);
	big = xmalloc(256 * 1024 + 1);
	for (i = 0; i < 256 * 1024; i++)
		big[i] = i % 64 == 63 ? '\n' : 'A';
	big[i] = '\0';
	assert_int_equal(
	    files_put(f, "a.example.com", "A2", 2, NULL, big, &e), -1);
	assert_int_equal(e.kind, ERR_AGAIN);
	assert_non_null(strstr(e.text, strerror(ENOSPC)));
	assert_non_null(strstr(e.text, "a.example.com"));
	files_path(f, "a.example.com", path);
	holds(path, PEM);
	/* The temporary file is gone: there is room for the next one. */
	put(f, "b.example.com", "B");
	assert_int_equal(files_sync(f, &e), 0);
	assert_true(lists("b.example.com"));
	free(big);
	files_free(f);
	assert_int_equal(umount(cert_dir), 0);
}

static void
haproxys_default_is_a_file_of_its_own(void **state)
{
	struct files *f = open_files();
	struct err e = { 0 };
	char path[96];

	(void)state;
	assert_false(files_has_default(f));
	assert_int_equal(files_put_default(f, PEM, &e), 0);
	assert_true(files_has_default(f));
	snprintf(path, sizeof(path), "%s/default.pem", cert_dir);
	holds(path, PEM);
	assert_int_equal(files_sync(f, &e), 0);
	holds(crt_list, "");
	files_free(f);
}

static void
a_second_certificate_has_a_line_of_its_own_for_the_same_name(void **state)
{
	struct files *f = open_files();
	char path[FILES_PATH_MAX], line[2 * FILES_PATH_MAX];
	char second[FILES_NAME_MAX], name[DOMAIN_NAME_MAX];
	struct err e = { 0 };

	(void)state;
	put(f, "*.example.com", "W");
	put(f, "www.example.com", "A");
	assert_int_equal(files_put_second(f, "*.example.com", PEM, &e), 0);
	assert_int_equal(files_sync(f, &e), 0);
	files_second("*.example.com", second);
	files_path(f, second, path);
	holds(path, PEM);
	snprintf(line, sizeof(line), "%s *.example.com\n", path);
	assert_true(lists(line));
	assert_int_equal(files_name(path, name), 0);
	assert_string_equal(name, second);
	files_domain(second, name);
	assert_string_equal(name, "*.example.com");
	assert_false(files_is_second("*.example.com"));
	assert_true(files_is_second(second));

	/* It comes back after a restart, and goes without the first. */
	files_free(f);
	f = open_files();
	assert_int_equal(files_sync(f, &e), 0);
	assert_true(lists(line));
	assert_int_equal(files_put_second(f, "*.example.com", NULL, &e), 0);
	assert_false(lists(line));
	assert_true(lists(" *.example.com\n"));
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(files_put_second(f, "*.example.com", NULL, &e), 0);
	files_free(f);
}

static void
a_removed_domain_takes_its_second_certificate_with_it(void **state)
{
	struct files *f = open_files();
	char path[FILES_PATH_MAX], second[FILES_NAME_MAX];
	struct err e = { 0 };

	(void)state;
	put(f, "www.example.com", "A");
	assert_int_equal(files_put_second(f, "www.example.com", PEM, &e), 0);
	assert_int_equal(files_sync(f, &e), 0);
	assert_int_equal(files_remove(f, "www.example.com", &e), 0);
	holds(crt_list, "");
	files_second("www.example.com", second);
	files_path(f, second, path);
	assert_int_equal(access(path, F_OK), -1);
	files_free(f);
}

/* A file of many lines, more than are in memory at a time. */
struct lines {
	int n;
	const char *last;
};

static void
add_lines(void *arg, struct disk_file *out)
{
	const struct lines *l = arg;
	char line[32];

	for (int i = 0; i < l->n; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		disk_add(out, line, strlen(line));
	}
	disk_add(out, l->last, strlen(l->last));
}

static char *
all_lines(const struct lines *l)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (int i = 0; i < l->n; i++)
		buf_putf(&b, "line %d\n", i);
	buf_puts(&b, l->last);
	return buf_take(&b);
}

static void
what_comes_in_pieces_is_written_whole_and_known_again(void **state)
{
	struct lines l = { 10000, "end" }, other = l;
	char path[96], temp[96], *text = all_lines(&l);
	struct err e = { 0 };

	(void)state;
	files_free(open_files());
	snprintf(path, sizeof(path), "%s/lines", cert_dir);
	snprintf(temp, sizeof(temp), "%s/.tmp-lines", cert_dir);
	assert_false(disk_holds(path, add_lines, &l));
	assert_int_equal(disk_fill(path, add_lines, &l, &e), 0);
	assert_int_equal(access(temp, F_OK), -1);
	holds(path, text);
	free(text);
	assert_true(disk_holds(path, add_lines, &l));
	other.last = "enD";
	assert_false(disk_holds(path, add_lines, &other));
	other.last = "ends";
	assert_false(disk_holds(path, add_lines, &other));
	other.last = "en";
	assert_false(disk_holds(path, add_lines, &other));
	other = (struct lines){ 0, "" };
	assert_false(disk_holds(path, add_lines, &other));
	assert_int_equal(disk_fill(path, add_lines, &other, &e), 0);
	holds(path, "");
	assert_true(disk_holds(path, add_lines, &other));
	assert_int_equal(chmod(path, 0644), 0);
	assert_false(disk_holds(path, add_lines, &other));
}

/* A disk that is full by then is no reason not to start. */
static void
a_crt_list_that_is_right_is_left_alone_at_a_start(void **state)
{
	struct files *f = open_files();
	struct stat was, is;
	struct err e = { 0 };

	(void)state;
	put(f, "www.example.com", "A");
	assert_int_equal(files_sync(f, &e), 0);
	assert_int_equal(stat(crt_list, &was), 0);
	files_free(f);
	f = open_files();
	assert_int_equal(files_sync(f, &e), 0);
	assert_int_equal(stat(crt_list, &is), 0);
	assert_int_equal(is.st_ino, was.st_ino);
	put(f, "a.example.com", "A");
	assert_int_equal(files_sync(f, &e), 0);
	assert_true(lists(" a.example.com\n"));
	assert_true(lists(" www.example.com\n"));
	files_free(f);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_crt_list_is_written_so_that_haproxy_starts),
		TEST(the_crt_list_is_sorted_and_has_name_filters),
		TEST(bundles_come_back_with_their_names_after_a_restart),
		TEST(a_pem_lost_with_the_tmpfs_is_not_listed_until_put_again),
		TEST(names_of_253_characters_have_files_of_their_own),
		TEST(a_removed_domain_leaves_the_list_before_its_files_go),
		TEST(temporary_files_of_a_crash_are_swept),
		TEST(a_bundle_under_another_name_is_passed_over),
		TEST(a_directory_open_to_others_is_refused),
		TEST(paths_that_haproxy_cannot_name_are_refused),
		TEST(links_are_replaced_and_never_followed),
		TEST(a_full_disk_keeps_what_was_there),
		TEST(haproxys_default_is_a_file_of_its_own),
		TEST(
		    a_second_certificate_has_a_line_of_its_own_for_the_same_name),
		TEST(a_removed_domain_takes_its_second_certificate_with_it),
		TEST(what_comes_in_pieces_is_written_whole_and_known_again),
		TEST(a_crt_list_that_is_right_is_left_alone_at_a_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
