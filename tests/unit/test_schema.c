#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/schema.h"

static void
expect(enum schema_use use, const char *schema, const char *reader,
    const char *writer, const char *word)
{
	struct err e = { 0 };

	assert_int_equal(schema_judge(schema, reader, writer, &e), use);
	if (word == NULL)
		assert_int_equal(e.kind, ERR_NONE);
	else
		assert_non_null(strstr(e.text, word));
}

static void
what_is_as_old_as_we_are_is_ours(void **state)
{
	(void)state;
	expect(SCHEMA_WRITE, "1", "1", "1", NULL);
	expect(SCHEMA_WRITE, "1", NULL, NULL, NULL);
}

static void
a_newer_one_says_who_may_do_what(void **state)
{
	(void)state;
	expect(SCHEMA_WRITE, "2", "1", "1", NULL);
	expect(SCHEMA_READ, "2", "1", "2", "min_writer");
	expect(SCHEMA_REFUSE, "3", "2", "2", "min_reader");
	/* One that says nothing cannot be judged. */
	expect(SCHEMA_REFUSE, "2", NULL, NULL, "upgrade");
	expect(SCHEMA_READ, "2", "1", NULL, "upgrade");
}

static void
what_is_no_schema_is_refused(void **state)
{
	(void)state;
	expect(SCHEMA_REFUSE, NULL, NULL, NULL, "upgrade");
	expect(SCHEMA_REFUSE, "x", "1", "1", "upgrade");
	expect(SCHEMA_REFUSE, "0", "1", "1", "upgrade");
	expect(SCHEMA_REFUSE, SCHEMA_RESTORING, "1", "1", "restore again");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_as_old_as_we_are_is_ours),
		cmocka_unit_test(a_newer_one_says_who_may_do_what),
		cmocka_unit_test(what_is_no_schema_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
