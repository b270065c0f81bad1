#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/message.h"

#define TOKEN "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
#define PATH "/.well-known/acme-challenge/"

/* Ask http01(path); returns the token or "". */
static struct spop_str
token_of(const char *name, const char *path, size_t path_len)
{
	static uint8_t bytes[32768];
	struct spop_out out = { bytes, bytes + sizeof(bytes) };
	struct spop_in in = { bytes, NULL };
	struct question q;

	spop_put_str(&out, name, strlen(name));
	*out.p++ = 2;
	spop_put_str(&out, "host", 4);
	spop_put_string(&out, "a.example", 9);
	spop_put_str(&out, "path", 4);
	assert_int_equal(spop_put_string(&out, path, path_len), 0);
	in.end = out.p;
	assert_int_equal(message_read(&in, &q), 0);
	assert_ptr_equal(in.p, in.end);
	return q.message != NULL ? q.token : (struct spop_str){ "", 0 };
}

static void
the_path_names_the_token(void **state)
{
	(void)state;
	assert_true(spop_str_is(
	    token_of("http01", PATH TOKEN, sizeof(PATH TOKEN) - 1), TOKEN));
}

static void
other_messages_ask_for_nothing(void **state)
{
	(void)state;
	assert_true(spop_str_is(
	    token_of("http02", PATH TOKEN, sizeof(PATH TOKEN) - 1), ""));
	assert_true(
	    spop_str_is(token_of("", PATH TOKEN, sizeof(PATH TOKEN) - 1), ""));
}

static void
hostile_paths_name_no_token(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		TOKEN,
		PATH,
		PATH "short",
		PATH TOKEN "/",
		PATH TOKEN "?x=1",
		PATH TOKEN ".txt",
		PATH TOKEN " ",
		PATH TOKEN "\r\nGET x",
		PATH "../" TOKEN,
		PATH "/" TOKEN,
		PATH "%4c" TOKEN,
		PATH "*" TOKEN,
		PATH "thumbprint",
		"/.Well-Known/acme-challenge/" TOKEN,
		"/x" PATH TOKEN,
		PATH "\xf0\x9f\x94\x92" TOKEN,
	};
	char longer[16000];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(
		    token_of("http01", paths[i], strlen(paths[i])).len, 0);
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, PATH, sizeof(PATH) - 1);
	assert_int_equal(token_of("http01", longer, sizeof(longer)).len, 0);
	assert_int_equal(
	    token_of("http01", longer, sizeof(PATH) - 1 + 128).len, 128);
	assert_int_equal(
	    token_of("http01", longer, sizeof(PATH) - 1 + 129).len, 0);
	/* A NUL is a byte like any other, and no part of a token. */
	assert_int_equal(
	    token_of("http01", PATH TOKEN, sizeof(PATH TOKEN)).len, 0);
}

static void
answers_fit_where_the_header_says(void **state)
{
	char keyauth[172];
	struct answer answers[] = {
		{ ANSWER_FOUND, keyauth, sizeof(keyauth) },
		{ ANSWER_NONE, NULL, 0 },
		{ ANSWER_ERROR, NULL, 0 },
	};
	uint8_t notify[] = "\x06http01\x01\x04path\x08\x47" PATH TOKEN;
	struct spop_in in = { notify, notify + sizeof(notify) - 1 };
	struct question q;

	(void)state;
	memset(keyauth, 'a', sizeof(keyauth));
	assert_int_equal(message_read(&in, &q), 0);
	assert_non_null(q.message);
	for (size_t i = 0; i < 3; i++) {
		uint8_t room[MESSAGE_ACTIONS_MAX];
		struct spop_out out = { room, room + sizeof(room) };

		assert_int_equal(
		    message_answer(&out, q.message, &answers[i]), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_path_names_the_token),
		cmocka_unit_test(other_messages_ask_for_nothing),
		cmocka_unit_test(hostile_paths_name_no_token),
		cmocka_unit_test(answers_fit_where_the_header_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
