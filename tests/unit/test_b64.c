#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/b64.h"

/* RFC 4648 section 10, and bytes that need the last two characters. */
static const struct {
	const char *bytes;
	size_t len;
	const char *plain, *url;
} pairs[] = {
	{ "", 0, "", "" },
	{ "f", 1, "Zg==", "Zg" },
	{ "fo", 2, "Zm8=", "Zm8" },
	{ "foo", 3, "Zm9v", "Zm9v" },
	{ "foob", 4, "Zm9vYg==", "Zm9vYg" },
	{ "fooba", 5, "Zm9vYmE=", "Zm9vYmE" },
	{ "foobar", 6, "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xfe", 3, "+//+", "-__-" },
	{ "\0\0", 2, "AAA=", "AAA" },
};

static void
both_forms_are_those_of_the_rfc(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		char text[B64_SIZE(6)];
		uint8_t bytes[6];

		b64_encode(text, pairs[i].bytes, pairs[i].len);
		assert_string_equal(text, pairs[i].plain);
		assert_int_equal(
		    b64_decode(bytes, text, strlen(text)), pairs[i].len);
		assert_memory_equal(bytes, pairs[i].bytes, pairs[i].len);
		b64url_encode(text, pairs[i].bytes, pairs[i].len);
		assert_string_equal(text, pairs[i].url);
		assert_int_equal(
		    b64url_decode(bytes, text, strlen(text)), pairs[i].len);
		assert_memory_equal(bytes, pairs[i].bytes, pairs[i].len);
	}
}

static void
sizes_are_exact(void **state)
{
	static const uint8_t zeros[64];

	(void)state;
	for (size_t n = 0; n < sizeof(zeros); n++) {
		char text[B64_SIZE(sizeof(zeros))];

		b64_encode(text, zeros, n);
		assert_int_equal(strlen(text) + 1, B64_SIZE(n));
		b64url_encode(text, zeros, n);
		assert_int_equal(strlen(text) + 1, B64URL_SIZE(n));
	}
}

static void
a_value_has_one_text(void **state)
{
	static const char *const bad[] = { "Z",
		"Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v=", "====", "=",
		"==", "Zm 9", "Zm9v\n", "Zm9-", "Z===", "Zg==Zg==" };
	static const char *const bad_url[] = { "Z", "Zh", "Zm9", "Zg==", "Zm+v",
		"Zm/v", "Zm v", "Zm9vY" };
	uint8_t bytes[8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (b64_decode(bytes, bad[i], strlen(bad[i])) != -1)
			fail_msg("accepted %s", bad[i]);
	for (size_t i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++)
		if (b64url_decode(bytes, bad_url[i], strlen(bad_url[i])) != -1)
			fail_msg("accepted %s", bad_url[i]);
	assert_int_equal(b64url_decode(bytes, "Zm\0v", 4), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_are_those_of_the_rfc),
		cmocka_unit_test(sizes_are_exact),
		cmocka_unit_test(a_value_has_one_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
