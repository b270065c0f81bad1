#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/mem.h"
#include "sync/pem.h"

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "-----END CERTIFICATE-----\n"
#define LINE "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void
what_is_written_is_read(void **state)
{
	uint8_t der[512], back[sizeof(der)];
	const char *text;
	struct buf pem;
	size_t left;

	(void)state;
	for (size_t i = 0; i < sizeof(der); i++)
		der[i] = (uint8_t)(i * 7);
	for (size_t len = 1; len <= sizeof(der); len++) {
		buf_init(&pem, 4096);
		pem_put(&pem, der, len);
		pem_put(&pem, der + len - 1, 1);
		text = pem.p;
		left = pem.len;
		assert_int_equal(pem_take(&text, &left, back, len), len);
		assert_memory_equal(back, der, len);
		assert_false(pem_at_end(text, left));
		assert_int_equal(pem_take(&text, &left, back, len), 1);
		assert_int_equal(back[0], der[len - 1]);
		assert_true(pem_at_end(text, left));
		text = pem.p;
		left = pem.len;
		if (len > 3)
			assert_int_equal(
			    pem_take(&text, &left, back, len - 3), -1);
		buf_clear(&pem);
	}
}

static void
empty_lines_between_are_passed_over(void **state)
{
	static const char pem[] = "\n" BEGIN "AAAA\n" END "\n\n";
	const char *text = pem;
	size_t left = strlen(pem);
	uint8_t der[64];

	(void)state;
	assert_int_equal(pem_take(&text, &left, der, sizeof(der)), 3);
	assert_true(pem_at_end(text, left));
	assert_ptr_equal(text + left, pem + strlen(pem));
}

static void
other_forms_are_left_to_others(void **state)
{
	static const char *const pems[] = { "", "\n", "AAAA\n", BEGIN, END,
		BEGIN END, BEGIN "AAAA\n", BEGIN "AAAA" END, BEGIN "AAA\n" END,
		BEGIN "AA-A\n" END, BEGIN "A=AA\n" END, BEGIN "AAAA\n\n" END,
		BEGIN "AAAA \n" END, BEGIN "AAAA\r\n" END,
		BEGIN "AAAA\nAAAA\n" END, BEGIN LINE "A\n" END,
		BEGIN LINE "\nAAAA\nAAAA\n" END, " " BEGIN "AAAA\n" END,
		"# a leaf\n" BEGIN "AAAA\n" END,
		"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n" END,
		BEGIN "Proc-Type: 4,ENCRYPTED\n\nAAAA\n" END,
		BEGIN "AAAA\n-----END CERTIFICATE-----" };
	uint8_t der[256];

	(void)state;
	for (size_t i = 0; i < sizeof(pems) / sizeof(pems[0]); i++) {
		/* Where it ends nothing more is there to be read. */
		size_t left = strlen(pems[i]);
		char *copy = xmalloc(left + 1);
		const char *text = copy;

		memcpy(copy, pems[i], left);
		assert_int_equal(pem_take(&text, &left, der, sizeof(der)), -1);
		assert_ptr_equal(text, copy);
		assert_int_equal(left, strlen(pems[i]));
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(empty_lines_between_are_passed_over),
		cmocka_unit_test(other_forms_are_left_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
