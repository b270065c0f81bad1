#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync/digest.h"

#define A "0123456789ABCDEF0123456789ABCDEF01234567"
#define B "76543210FEDCBA9876543210FEDCBA9876543210"

static void
text_of(const struct digest *d, char out[DIGEST_TEXT_MAX])
{
	digest_text(d, out);
	assert_int_equal(strlen(out), DIGEST_TEXT_MAX - 1);
}

static void
the_order_does_not_matter(void **state)
{
	struct digest one = { { 0 } }, other = { { 0 } };
	char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX];

	(void)state;
	digest_toggle(&one, "a.test", A);
	digest_toggle(&one, "b.test", B);
	digest_toggle(&other, "b.test", B);
	digest_toggle(&other, "a.test", A);
	text_of(&one, a);
	text_of(&other, b);
	assert_string_equal(a, b);
}

static void
names_belong_to_their_certificates(void **state)
{
	struct digest one = { { 0 } }, other = { { 0 } };
	char a[DIGEST_TEXT_MAX], b[DIGEST_TEXT_MAX];

	(void)state;
	digest_toggle(&one, "a.test", A);
	digest_toggle(&one, "b.test", B);
	digest_toggle(&other, "a.test", B);
	digest_toggle(&other, "b.test", A);
	text_of(&one, a);
	text_of(&other, b);
	assert_string_not_equal(a, b);
}

static void
what_goes_out_leaves_nothing(void **state)
{
	struct digest d = { { 0 } };
	char text[DIGEST_TEXT_MAX];

	(void)state;
	digest_toggle(&d, "a.test", A);
	digest_text(&d, text);
	assert_string_not_equal(text, "00000000000000000000000000000000");
	digest_toggle(&d, "b.test", B);
	digest_toggle(&d, "a.test", A);
	digest_toggle(&d, "b.test", B);
	digest_text(&d, text);
	assert_string_equal(text, "00000000000000000000000000000000");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_does_not_matter),
		cmocka_unit_test(names_belong_to_their_certificates),
		cmocka_unit_test(what_goes_out_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
