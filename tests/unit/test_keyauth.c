#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keyauth.h"

#define TOKEN "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
#define THUMBPRINT "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
#define KEYAUTH TOKEN "." THUMBPRINT

static void
a_token_has_22_to_128_characters(void **state)
{
	char s[TOKEN_MAX + 1];

	(void)state;
	memset(s, 'a', sizeof(s));
	for (size_t len = 0; len <= sizeof(s); len++)
		assert_int_equal(
		    keyauth_is_token(s, len), len >= 22 && len <= 128);
}

/* Every byte there is: 64 of them may stand in a token. */
static void
a_token_has_only_base64url(void **state)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789-_";

	(void)state;
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < sizeof(TOKEN) - 1; at += 14) {
			char s[sizeof(TOKEN)] = TOKEN;

			s[at] = (char)c;
			assert_int_equal(keyauth_is_token(s, sizeof(s) - 1),
			    memchr(allowed, c, sizeof(allowed) - 1) != NULL);
		}
}

static void
a_keyauth_belongs_to_one_token(void **state)
{
	static const struct {
		const char *keyauth;
		bool ok;
	} cases[] = {
		{ KEYAUTH, true },
		{ "", false },
		{ TOKEN, false },
		{ TOKEN ".", false },
		{ TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqT", false },
		{ TOKEN "." THUMBPRINT "x", false },
		{ TOKEN "-" THUMBPRINT, false },
		{ TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mq\n\n",
		    false },
		{ "MoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0." THUMBPRINT,
		    false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
		    keyauth_is_for(cases[i].keyauth, strlen(cases[i].keyauth),
			TOKEN, sizeof(TOKEN) - 1),
		    cases[i].ok);
}

static void
a_stateless_answer_is_token_and_thumbprint(void **state)
{
	char out[KEYAUTH_MAX];
	size_t len = keyauth_make(out, TOKEN, sizeof(TOKEN) - 1, THUMBPRINT);

	(void)state;
	assert_int_equal(len, sizeof(KEYAUTH) - 1);
	assert_memory_equal(out, KEYAUTH, len);
	assert_true(keyauth_is_for(out, len, TOKEN, sizeof(TOKEN) - 1));
}

static void
news_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum keyauth_news_kind kind;
	} cases[] = {
		{ TOKEN " " KEYAUTH, KEYAUTH_PUBLISHED },
		{ TOKEN, KEYAUTH_WITHDRAWN },
		{ "= " THUMBPRINT, KEYAUTH_THUMBPRINT },
		{ "", KEYAUTH_NONSENSE },
		{ " ", KEYAUTH_NONSENSE },
		{ "=", KEYAUTH_NONSENSE },
		{ "= ", KEYAUTH_NONSENSE },
		{ "= " THUMBPRINT " ", KEYAUTH_NONSENSE },
		{ "short short." THUMBPRINT, KEYAUTH_NONSENSE },
		{ TOKEN " ", KEYAUTH_NONSENSE },
		{ TOKEN "  " KEYAUTH, KEYAUTH_NONSENSE },
		{ TOKEN " " TOKEN, KEYAUTH_NONSENSE },
		{ "../../../../../../../../../../etc/passwd x",
		    KEYAUTH_NONSENSE },
	};
	struct keyauth_news news;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		keyauth_read_news(&news, cases[i].text, strlen(cases[i].text));
		assert_int_equal(news.kind, cases[i].kind);
	}
	keyauth_read_news(&news, cases[0].text, strlen(cases[0].text));
	assert_int_equal(news.token_len, sizeof(TOKEN) - 1);
	assert_int_equal(news.keyauth_len, sizeof(KEYAUTH) - 1);
	assert_string_equal(news.keyauth, KEYAUTH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_has_22_to_128_characters),
		cmocka_unit_test(a_token_has_only_base64url),
		cmocka_unit_test(a_keyauth_belongs_to_one_token),
		cmocka_unit_test(a_stateless_answer_is_token_and_thumbprint),
		cmocka_unit_test(news_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
