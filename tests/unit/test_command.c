#include "haproxy/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define NAME "/run/certs/a.example.com.pem"
#define LIST "/run/certs/crt-list.txt"

static struct buf out;

static int
begin(void **state)
{
	(void)state;
	buf_init(&out, 65536);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	buf_clear(&out);
	return 0;
}

static void
commands_are_written_as_haproxy_reads_them(void **state)
{
	struct err e = { 0 };

	(void)state;
	command_show_info(&out);
	command_show_certs(&out);
	assert_int_equal(command_cert(&out, "new", NAME, &e), 0);
	assert_int_equal(
	    command_set(&out, NAME, PEM, strlen(PEM), 16384, &e), 0);
	assert_int_equal(command_add(&out, LIST, NAME, "*.example.com", &e), 0);
	assert_int_equal(command_del_entry(&out, LIST, NAME, 0, &e), 0);
	assert_int_equal(command_del_entry(&out, LIST, NAME, 3, &e), 0);
	assert_int_equal(command_show_entries(&out, LIST, &e), 0);
	assert_string_equal(out.p,
	    "show info\n"
	    "show ssl cert\n"
	    "new ssl cert " NAME "\n"
	    "set ssl cert " NAME " <<\n" PEM "\n"
	    "add ssl crt-list " LIST " <<\n" NAME " *.example.com\n\n"
	    "del ssl crt-list " LIST " " NAME "\n"
	    "del ssl crt-list " LIST " " NAME ":3\n"
	    "show ssl crt-list -n " LIST "\n");
}

/* Each of these would be a second command, or mean something else. */
static void
names_that_haproxy_would_execute_are_refused(void **state)
{
	static const char *const bad[] = {
		"/run/a.pem;show info",
		"/run/a.pem\nshow info",
		"/run/a.pem show info",
		"/run/a.pem\\;x",
		"/run/a.pem\r",
		"/run/a\"b",
		"/run/a'b",
		"/run/a$b",
		"/run/a<<",
		"/run/a.pem:3",
		"/run/a#",
		"/run/\xc3\xa9.pem",
		"*/run/a.pem",
		"@1",
		"-n",
		"",
	};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){ 0 };
		assert_int_equal(command_cert(&out, "del", bad[i], &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_null(strchr(e.text, '\n'));
		assert_int_equal(
		    command_set(&out, bad[i], PEM, strlen(PEM), 16384, &e), -1);
		assert_int_equal(
		    command_add(&out, bad[i], NAME, "a.example", &e), -1);
		assert_int_equal(
		    command_add(&out, LIST, bad[i], "a.example", &e), -1);
		assert_int_equal(
		    command_del_entry(&out, LIST, bad[i], 1, &e), -1);
		assert_int_equal(command_show_entries(&out, bad[i], &e), -1);
	}
	assert_int_equal(out.len, 0);
}

static void
filters_are_host_names_and_nothing_else(void **state)
{
	static const char *const bad[] = { "", "*", "!*", "!a.example",
		"a.example b.example", "[ca-file", "a.example\n", "*.*.example",
		"a..example", ".example", "A.example", "a.*", "*a.example",
		"a_b.example", "a.example." };
	struct err e = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(command_add(&out, LIST, NAME, bad[i], &e), -1);
	assert_int_equal(out.len, 0);
	assert_true(command_filter_ok("a.example"));
	assert_true(command_filter_ok("*.xn--bcher-kva.example"));
}

/* 2.6 and 3.0 end the payload there and execute the rest of the PEM. */
static void
payloads_that_are_not_plain_pem_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"\n" PEM,
		PEM "\n",
		PEM "\n" PEM,
		PEM "show info\n",
		"show info\n" PEM,
		"-----BEGIN CERTIFICATE-----\nAAAA\n\nAAAA\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\r\nAAAA\r\n"
		"-----END CERTIFICATE-----\r\n",
		"-----BEGIN CERTIFICATE-----\nshow info\n"
		"-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n"
		"-----END CERTIFICATE-----",
		"-----END CERTIFICATE-----\n",
		"-----BEGIN a;b-----\nAAAA\n-----END a;b-----\n",
		"Bag Attributes\n" PEM,
	};
	struct err e;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){ 0 };
		assert_int_equal(
		    command_set(&out, NAME, bad[i], strlen(bad[i]), 16384, &e),
		    -1);
		assert_int_equal(e.kind, ERR_REFUSED);
	}
	assert_int_equal(command_set(&out, NAME, PEM "\0" PEM,
			     2 * strlen(PEM) + 1, 16384, &e),
	    -1);
	assert_int_equal(out.len, 0);
	assert_int_equal(
	    command_set(&out, NAME, PEM PEM, 2 * strlen(PEM), 16384, &e), 0);
}

static void
what_does_not_fit_is_refused_with_the_numbers(void **state)
{
	struct err e = { 0 };
	struct buf pem;
	size_t room = 16384 - COMMAND_MARGIN - strlen("set ssl cert " NAME) -
	              strlen(" <<\n\n");

	(void)state;
	buf_init(&pem, 65536);
	buf_puts(&pem, "-----BEGIN CERTIFICATE-----\n");
	while (pem.len + 65 + 26 + 3 < room)
		buf_putf(&pem, "%064d\n", 0);
	while (pem.len + 26 + 2 <= room)
		buf_puts(&pem, "A\n");
	buf_puts(&pem, "-----END CERTIFICATE-----\n");
	assert_true(pem.len == room - 1 || pem.len == room);
	assert_int_equal(command_set(&out, NAME, pem.p, pem.len, 16384, &e), 0);
	assert_int_equal(
	    command_set(&out, NAME, pem.p, pem.len, 16382, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "16382"));
	assert_non_null(strstr(e.text, "a.example.com"));
	buf_puts(&pem, PEM);
	assert_int_equal(
	    command_set(&out, NAME, pem.p, pem.len, 16384, &e), -1);
	assert_non_null(strstr(e.text, "32768"));
	buf_clear(&pem);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(commands_are_written_as_haproxy_reads_them),
		TEST(names_that_haproxy_would_execute_are_refused),
		TEST(filters_are_host_names_and_nothing_else),
		TEST(payloads_that_are_not_plain_pem_are_refused),
		TEST(what_does_not_fit_is_refused_with_the_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
