#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"

static char printed[16384];

/* What is written while fn runs; empty when it is nothing. */
static void
capture(void (*fn)(void))
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	n = fread(printed, 1, sizeof(printed) - 1, f);
	printed[n] = '\0';
	fclose(f);
}

static size_t
lines(void)
{
	size_t n = 0;

	for (const char *p = printed; *p != '\0'; p++)
		n += *p == '\n';
	return n;
}

static void
log_hostile(void)
{
	log_error("domain=%s", "a\nerror forged\r\x1b[2J\x7f\xff");
}

static void
hostile_text_stays_one_line(void **state)
{
	(void)state;
	log_open("certfleet-test", LOG_LEVEL_INFO);
	capture(log_hostile);
	assert_int_equal(lines(), 1);
	assert_non_null(strstr(printed,
	    " error domain=a\\x0aerror forged\\x0d\\x1b[2J\\x7f\\xff\n"));
	assert_non_null(strstr(printed, " certfleet-test["));
}

static void
log_long(void)
{
	char much[9000];

	memset(much, '\n', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	log_info("%s", much);
	log_info("after");
}

static void
a_long_text_is_cut_and_its_line_ends(void **state)
{
	(void)state;
	log_open("certfleet-test", LOG_LEVEL_INFO);
	capture(log_long);
	assert_int_equal(lines(), 2);
	assert_true(strlen(printed) < 8192);
	assert_non_null(strstr(printed, " info after\n"));
}

static void
log_levels(void)
{
	log_error("one");
	log_warn("two");
	log_info("three");
	log_debug("four");
}

static void
levels_above_the_threshold_are_silent(void **state)
{
	(void)state;
	log_open("certfleet-test", LOG_LEVEL_WARN);
	capture(log_levels);
	assert_int_equal(lines(), 2);
	assert_non_null(strstr(printed, "warn two"));
	assert_null(strstr(printed, "three"));
	log_open("certfleet-test", LOG_LEVEL_DEBUG);
	capture(log_levels);
	assert_int_equal(lines(), 4);
}

static void
under_systemd_lines_carry_the_priority(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_open("certfleet-test", LOG_LEVEL_DEBUG);
	unsetenv("JOURNAL_STREAM");
	capture(log_levels);
	assert_string_equal(printed, "<3>one\n<4>two\n<6>three\n<7>four\n");
}

static void
errno_is_preserved(void **state)
{
	int saved = dup(STDERR_FILENO);
	int after;

	(void)state;
	log_open("certfleet-test", LOG_LEVEL_INFO);
	close(STDERR_FILENO);
	errno = EXDEV;
	log_error("nobody hears this");
	after = errno;
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_int_equal(after, EXDEV);
}

static void
level_names_are_read_back(void **state)
{
	(void)state;
	assert_int_equal(log_level_parse("error"), LOG_LEVEL_ERROR);
	assert_int_equal(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("INFO"), -1);
	assert_int_equal(log_level_parse(""), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_text_stays_one_line),
		cmocka_unit_test(a_long_text_is_cut_and_its_line_ends),
		cmocka_unit_test(levels_above_the_threshold_are_silent),
		cmocka_unit_test(under_systemd_lines_carry_the_priority),
		cmocka_unit_test(errno_is_preserved),
		cmocka_unit_test(level_names_are_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
