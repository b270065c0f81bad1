#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/metric.h"

static void
every_series_is_there_from_the_start(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, METRIC_TEXT_MAX);
	metric_counter(&out, METRIC_PUSH);
	assert_string_equal(out.p,
	    "# HELP certfleet_push_total Certificates pushed into a HAProxy, "
	    "by how that went.\n"
	    "# TYPE certfleet_push_total counter\n"
	    "certfleet_push_total{result=\"ok\"} 0\n"
	    "certfleet_push_total{result=\"refused\"} 0\n"
	    "certfleet_push_total{result=\"retried\"} 0\n");
	buf_clear(&out);
}

static void
a_counter_counts_its_own_series(void **state)
{
	struct buf out;

	(void)state;
	metric_count(METRIC_CA_REQUESTS, METRIC_CA_NEW_ORDER, metric_code(201));
	metric_count(METRIC_CA_REQUESTS, METRIC_CA_NEW_ORDER, metric_code(201));
	metric_count(METRIC_CA_REQUESTS, METRIC_CA_OTHER, metric_code(429));
	buf_init(&out, METRIC_TEXT_MAX);
	metric_counter(&out, METRIC_CA_REQUESTS);
	assert_non_null(
	    strstr(out.p, "{endpoint=\"newOrder\",code=\"2xx\"} 2\n"));
	assert_non_null(strstr(out.p, "{endpoint=\"other\",code=\"429\"} 1\n"));
	assert_non_null(
	    strstr(out.p, "{endpoint=\"newNonce\",code=\"none\"} 0\n"));
	buf_clear(&out);
}

static void
a_status_has_one_code(void **state)
{
	static const struct {
		int status;
		unsigned int code;
	} cases[] = { { 200, 0 }, { 204, 0 }, { 304, 1 }, { 400, 2 },
		{ 404, 2 }, { 429, 3 }, { 499, 2 }, { 500, 4 }, { 503, 4 },
		{ 0, 5 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(metric_code(cases[i].status), cases[i].code);
}

static void
large_and_broken_numbers_are_written_whole(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, METRIC_TEXT_MAX);
	metric_line(&out, "a", "", 1795514176453.0);
	metric_line(&out, "b", "c=\"d\"", 0.5);
	assert_string_equal(out.p, "a 1795514176453\nb{c=\"d\"} 0.5\n");
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_series_is_there_from_the_start),
		cmocka_unit_test(a_counter_counts_its_own_series),
		cmocka_unit_test(a_status_has_one_code),
		cmocka_unit_test(large_and_broken_numbers_are_written_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
