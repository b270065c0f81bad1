#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "sync/ledger.h"
#include "sync/ledger_file.h"

#define KEY "shop.example@ca.example"

static char dir[] = "/tmp/test_ledger.XXXXXX";
static char path[64];

static int
setup(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/ledger", dir);
	return 0;
}

static int
cleanup(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void
a_spend_counts_once_and_moves_forward(void **state)
{
	struct ledger *l = ledger_new();

	(void)state;
	ledger_spend(l, LIMIT_DOMAIN, KEY, "a:1", 1000, NULL);
	ledger_spend(l, LIMIT_DOMAIN, KEY, "a:1", 3000, NULL);
	ledger_spend(l, LIMIT_DOMAIN, KEY, "a:1", 2000, NULL);
	ledger_spend(l, LIMIT_DOMAIN, KEY, "b:1", 1000, NULL);
	ledger_spend(l, LIMIT_SET, KEY, "a:1", 1000, NULL);
	assert_int_equal(ledger_used(l, LIMIT_DOMAIN, KEY, 0, ""), 2);
	assert_int_equal(ledger_used(l, LIMIT_DOMAIN, KEY, 2500, ""), 1);
	assert_int_equal(ledger_used(l, LIMIT_DOMAIN, KEY, 0, "a:1"), 1);
	assert_int_equal(ledger_used(l, LIMIT_ORDERS, KEY, 0, ""), 0);
	assert_int_equal(ledger_size(l), 3);
	ledger_refund(l, LIMIT_DOMAIN, KEY, "a:1", NULL);
	ledger_refund(l, LIMIT_DOMAIN, KEY, "unknown", NULL);
	assert_int_equal(ledger_used(l, LIMIT_DOMAIN, KEY, 0, ""), 1);
	ledger_free(l);
}

static void
what_is_old_is_forgotten_each_by_its_window(void **state)
{
	const int64_t since[LIMIT_BUCKETS] = {
		[LIMIT_DOMAIN] = 2000, [LIMIT_SET] = 500
	};
	struct ledger *l = ledger_new();

	(void)state;
	ledger_spend(l, LIMIT_DOMAIN, KEY, "a:1", 1000, NULL);
	ledger_spend(l, LIMIT_SET, KEY, "a:1", 1000, NULL);
	ledger_block(l, LIMIT_DOMAIN, KEY, 1500, NULL);
	ledger_forget(l, since);
	assert_int_equal(ledger_used(l, LIMIT_DOMAIN, KEY, 0, ""), 0);
	assert_int_equal(ledger_used(l, LIMIT_SET, KEY, 0, ""), 1);
	assert_int_equal(ledger_size(l), 1);
	ledger_free(l);
}

static void
lines_read_back_are_the_same_ledger(void **state)
{
	struct ledger *l = ledger_new(), *m = ledger_new();
	struct buf lines, dump;
	char *p, *end;

	(void)state;
	buf_init(&lines, 4096);
	buf_init(&dump, 4096);
	ledger_spend(l, LIMIT_DOMAIN, KEY, "a:1", 1000, &lines);
	ledger_spend(l, LIMIT_ORDERS, "@ca.example", "a:1", 1000, &lines);
	ledger_spend(l, LIMIT_DOMAIN, KEY, "b:1", 1200, &lines);
	ledger_refund(l, LIMIT_DOMAIN, KEY, "b:1", &lines);
	ledger_block(l, LIMIT_ORDERS, "@ca.example", 9000, &lines);
	for (p = lines.p; (end = strchr(p, '\n')) != NULL; p = end + 1)
		assert_true(ledger_take(m, p, (size_t)(end - p)));
	assert_int_equal(ledger_size(m), 3);
	assert_int_equal(ledger_used(m, LIMIT_DOMAIN, KEY, 1000, ""), 1);
	assert_int_equal(ledger_dump(m, &dump), 0);
	assert_non_null(strstr(dump.p, "+ 1000 domain " KEY " a:1\n"));
	assert_non_null(strstr(dump.p, "! 9000 orders @ca.example\n"));
	assert_null(strstr(dump.p, "b:1"));
	buf_clear(&dump);
	buf_init(&dump, 40);
	assert_int_equal(ledger_dump(m, &dump), -1);
	buf_clear(&dump);
	buf_clear(&lines);
	ledger_free(l);
	ledger_free(m);
}

static void
what_is_no_line_changes_nothing(void **state)
{
	static const char *const bad[] = { "", " ", "+", "+ 1 domain k",
		"+ x domain k id", "+ 1 nothing k id", "+ 1 domain k id more",
		"+ -1 domain k id", "? 1 domain k id", "! 1 domain k id",
		"+  1 domain k id", "++ 1 domain k id", "+ 1 domain k id ",
		" 1 domain k id", "+  domain k id", "+ 1  k id" };
	struct ledger *l = ledger_new();
	char longest[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ledger_take(l, bad[i], strlen(bad[i])));
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "+ 1 domain ", 11);
	assert_false(ledger_take(l, longest, sizeof(longest)));
	assert_false(ledger_take(l, "+ 1 domain k\0 id", 16));
	assert_int_equal(ledger_size(l), 0);
	ledger_free(l);
}

static void
put(struct ledger_file *f, const char *text)
{
	struct buf b;
	struct err e;

	buf_init(&b, 4096);
	buf_puts(&b, text);
	assert_int_equal(ledger_file_put(f, &b, &e), 0);
	buf_clear(&b);
}

static void
a_file_survives_a_torn_line(void **state)
{
	struct ledger *l = ledger_new();
	struct ledger_file *f;
	struct stat st;
	struct err e;
	FILE *raw;

	(void)state;
	f = ledger_file_new(dir, l, &e);
	assert_non_null(f);
	put(f, "+ 1000 domain " KEY " a:1\n");
	ledger_file_free(f);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	raw = fopen(path, "a");
	fputs("+ 1000 domain shop.exa", raw);
	fclose(raw);
	f = ledger_file_new(dir, l, &e);
	assert_non_null(f);
	put(f, "+ 2000 domain " KEY " b:1\n");
	ledger_file_free(f);
	ledger_free(l);

	l = ledger_new();
	f = ledger_file_new(dir, l, &e);
	assert_int_equal(ledger_used(l, LIMIT_DOMAIN, KEY, 0, ""), 2);
	ledger_file_free(f);
	ledger_free(l);
}

static void
a_file_of_old_lines_is_written_anew(void **state)
{
	struct ledger *l = ledger_new();
	struct ledger_file *f;
	struct buf lines;
	struct stat before, after;
	struct err e;
	char id[32];

	(void)state;
	buf_init(&lines, 1 << 20);
	f = ledger_file_new(dir, l, &e);
	for (int i = 0; i < 2000; i++) {
		snprintf(id, sizeof(id), "a:%d", i);
		ledger_spend(l, LIMIT_SET, KEY, id, i, &lines);
		if (i >= 10)
			ledger_refund(l, LIMIT_SET, KEY, id, &lines);
	}
	assert_int_equal(ledger_file_put(f, &lines, &e), 0);
	assert_true(ledger_file_large(f, l));
	stat(path, &before);
	assert_int_equal(ledger_file_rewrite(f, l, &e), 0);
	stat(path, &after);
	assert_true(after.st_size < before.st_size / 100);
	assert_int_equal(after.st_mode & 07777, 0600);
	assert_false(ledger_file_large(f, l));
	put(f, "+ 9 set " KEY " new:1\n");
	ledger_file_free(f);
	ledger_free(l);

	l = ledger_new();
	f = ledger_file_new(dir, l, &e);
	assert_int_equal(ledger_used(l, LIMIT_SET, KEY, 0, ""), 11);
	ledger_file_free(f);
	ledger_free(l);
	buf_clear(&lines);
}

static void
a_link_is_not_followed(void **state)
{
	struct ledger *l = ledger_new();
	struct err e;

	(void)state;
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_null(ledger_file_new(dir, l, &e));
	assert_int_equal(e.kind, ERR_CONFIG);
	ledger_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spend_counts_once_and_moves_forward),
		cmocka_unit_test(what_is_old_is_forgotten_each_by_its_window),
		cmocka_unit_test(lines_read_back_are_the_same_ledger),
		cmocka_unit_test(what_is_no_line_changes_nothing),
		cmocka_unit_test_setup(a_file_survives_a_torn_line, setup),
		cmocka_unit_test_setup(
		    a_file_of_old_lines_is_written_anew, setup),
		cmocka_unit_test_setup(a_link_is_not_followed, setup),
	};

	return cmocka_run_group_tests(tests, make_dir, cleanup);
}
