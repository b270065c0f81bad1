#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/acme_link.h"

static void
alternates_are_found_among_others(void **state)
{
	const char *links =
	    "<https://ca.example/dir>;rel=\"index\", "
	    "<https://ca.example/c/1>;rel=\"alternate\", "
	    "<https://ca.example/c/2>; title=\"a, <b>; c\"; "
	    "rel=\"up Alternate\", <https://ca.example/c/3>;rel=alternate";
	char url[64];

	(void)state;
	assert_int_equal(acme_link(&links, "alternate", url, sizeof(url)), 0);
	assert_string_equal(url, "https://ca.example/c/1");
	assert_int_equal(acme_link(&links, "alternate", url, sizeof(url)), 0);
	assert_string_equal(url, "https://ca.example/c/2");
	assert_int_equal(acme_link(&links, "alternate", url, sizeof(url)), 0);
	assert_string_equal(url, "https://ca.example/c/3");
	assert_int_equal(acme_link(&links, "alternate", url, sizeof(url)), -1);
}

static void
damaged_links_are_passed_over(void **state)
{
	static const char *const bad[] = { "", "<", "<>;rel=alternate",
		"<https://ca.example/>", "<https://ca.example/>;rel=",
		"<https://ca.example/>;rel=\"alternate", "<a>;rel", "<a>;;;",
		"<https://ca.example/c>;rel=alternatex", ">;rel=alternate<",
		"<a>;rel=\"x\\",
		"<https://ca.example/longer/than/fits>;rel=alternate" };
	char url[32];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *links = bad[i];

		if (acme_link(&links, "alternate", url, sizeof(url)) == 0)
			fail_msg("found in: %s", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alternates_are_found_among_others),
		cmocka_unit_test(damaged_links_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
