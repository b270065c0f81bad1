/*
 * Every frame in every state.  Frames are files of tests/frames: captured
 * from HAProxy (haproxy-*) or made up to hurt.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keyauth.h"
#include "agent/session.h"

#define TOKEN "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
#define KEYAUTH TOKEN ".9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
#define FRAME_MAX 16380

/* One end of a dialogue, with whoever answers questions. */
struct dialogue {
	struct session s;
	enum answer_kind answer; /* to all questions */
	struct session_notify asked[SESSION_WAITING_MAX + 1];
	size_t nasked;
	uint8_t out[SESSION_OUT_MAX(1 << 16)];
	struct spop_in said; /* what is in out and not looked at yet */
	size_t len;
};

static struct dialogue d;

static void
ask(void *arg, const struct session_notify *n, struct spop_str token,
    struct answer *a)
{
	assert_ptr_equal(arg, &d);
	assert_true(keyauth_is_token(token.ptr, token.len));
	assert_true(d.nasked < SESSION_WAITING_MAX + 1);
	d.asked[d.nasked++] = *n;
	a->kind = d.answer;
	a->keyauth = KEYAUTH;
	a->keyauth_len = sizeof(KEYAUTH) - 1;
}

static void
begin(void)
{
	memset(&d, 0, sizeof(d));
	session_init(&d.s, FRAME_MAX, ask, &d);
	d.said = (struct spop_in){ d.out, d.out };
}

static size_t
take(const uint8_t *bytes, size_t len)
{
	struct spop_out out = { d.out + d.len, d.out + sizeof(d.out) };
	size_t used = session_take(&d.s, bytes, len, &out);

	d.len = (size_t)(out.p - d.out);
	d.said.end = out.p;
	return used;
}

static size_t
load(const char *name, uint8_t out[static FRAME_MAX])
{
	char path[256], line[256];
	unsigned int byte;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "tests/frames/%s.hex", name);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (line[0] == '#')
			continue;
		for (const char *p = line; isxdigit((unsigned char)*p);
		     p += 2) {
			assert_true(n < FRAME_MAX);
			assert_int_equal(sscanf(p, "%2x", &byte), 1);
			out[n++] = (uint8_t)byte;
		}
	}
	fclose(f);
	return n;
}

/* Let HAProxy say what is in a file. */
static void
hear(const char *name)
{
	uint8_t bytes[FRAME_MAX];
	size_t len = load(name, bytes);

	assert_int_equal(take(bytes, len), len);
}

/* The next frame that we said. */
static struct spop_frame
said(void)
{
	enum spop_status why;
	struct spop_frame f;

	assert_int_equal(spop_get_frame(&d.said, FRAME_MAX, &f, &why), 1);
	assert_int_equal(f.flags, SPOP_FIN);
	return f;
}

static void
said_nothing(void)
{
	assert_ptr_equal(d.said.p, d.said.end);
}

static void
said_disconnect(enum spop_status status)
{
	struct spop_frame f = said();
	struct spop_str name;
	struct spop_data v;

	assert_int_equal(f.type, SPOP_AGENT_DISCONNECT);
	assert_true(f.stream_id == 0 && f.frame_id == 0);
	assert_int_equal(spop_get_str(&f.payload, &name), 0);
	assert_true(spop_str_is(name, "status-code"));
	assert_int_equal(spop_get_data(&f.payload, &v), 0);
	assert_int_equal(v.type, SPOP_UINT32);
	assert_int_equal(v.number, status);
	assert_int_equal(spop_get_str(&f.payload, &name), 0);
	assert_true(spop_str_is(name, "message"));
	assert_int_equal(spop_get_data(&f.payload, &v), 0);
	assert_int_equal(v.type, SPOP_STRING);
	assert_true(v.str.len > 0);
	assert_ptr_equal(f.payload.p, f.payload.end);
	assert_int_equal(d.s.state, SESSION_OVER);
	assert_int_equal(d.s.status, status);
}

static void
said_hello(uint64_t frame_size)
{
	static const char *const names[] = { "version", "max-frame-size",
		"capabilities" };
	struct spop_frame f = said();
	struct spop_str name;
	struct spop_data v[3];

	assert_int_equal(f.type, SPOP_AGENT_HELLO);
	assert_true(f.stream_id == 0 && f.frame_id == 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(spop_get_str(&f.payload, &name), 0);
		assert_true(spop_str_is(name, names[i]));
		assert_int_equal(spop_get_data(&f.payload, &v[i]), 0);
	}
	assert_ptr_equal(f.payload.p, f.payload.end);
	assert_true(spop_str_is(v[0].str, "2.0"));
	assert_int_equal(v[1].type, SPOP_UINT32);
	assert_int_equal(v[1].number, frame_size);
	assert_true(spop_str_is(v[2].str, "pipelining"));
}

static void
said_ack(uint64_t stream_id, uint64_t frame_id, enum answer_kind answer)
{
	struct spop_frame f = said();
	const uint8_t *p = f.payload.p;
	struct spop_str name;
	struct spop_data v;

	assert_int_equal(f.type, SPOP_AGENT_ACK);
	assert_true(f.stream_id == stream_id && f.frame_id == frame_id);
	if (answer == ANSWER_NONE) {
		assert_ptr_equal(p, f.payload.end);
		return;
	}
	assert_true(f.payload.end - p > 3);
	assert_memory_equal(p, "\x01\x03\x02", 3);
	f.payload.p += 3;
	assert_int_equal(spop_get_str(&f.payload, &name), 0);
	assert_int_equal(spop_get_data(&f.payload, &v), 0);
	assert_ptr_equal(f.payload.p, f.payload.end);
	if (answer == ANSWER_FOUND) {
		assert_true(spop_str_is(name, "keyauth"));
		assert_int_equal(v.type, SPOP_STRING);
		assert_true(spop_str_is(v.str, KEYAUTH));
	} else {
		assert_true(spop_str_is(name, "error"));
		assert_int_equal(v.type, SPOP_UINT32);
		assert_int_equal(v.number, 1);
	}
}

static void
open_session(void)
{
	begin();
	hear("haproxy-2.6-hello");
	said_hello(FRAME_MAX);
	assert_int_equal(d.s.state, SESSION_OPEN);
}

/* What a frame brings about, in a new session and in an open one. */
enum {
	NOTHING = -1,
	HELLO = -2,
	CHECK = -3,
	ACK = -4,
	ASK = -5
};
static const struct {
	const char *frame;
	int in_new; /* one of the above, or a status of DISCONNECT */
	int in_open;
} frames[] = {
	{ "haproxy-2.6-hello", HELLO, SPOP_INVALID },
	{ "haproxy-3.2-hello", HELLO, SPOP_INVALID },
	{ "haproxy-2.6-check", CHECK, SPOP_INVALID },
	{ "haproxy-2.6-disconnect", SPOP_NORMAL, SPOP_NORMAL },
	{ "haproxy-2.6-notify-first", SPOP_INVALID, ASK },
	{ "haproxy-3.2-notify", SPOP_INVALID, ASK },
	{ "haproxy-2.6-notify-short-token", SPOP_INVALID, ACK },
	{ "haproxy-2.6-notify-long-path", SPOP_INVALID, ACK },
	{ "hello-old-and-new", HELLO, SPOP_INVALID },
	{ "hello-unknown-keys", HELLO, SPOP_INVALID },
	{ "hello-no-version", SPOP_NO_VERSION, SPOP_INVALID },
	{ "hello-no-frame-size", SPOP_NO_FRAME_SIZE, SPOP_INVALID },
	{ "hello-no-capabilities", SPOP_NO_CAPABILITIES, SPOP_INVALID },
	{ "hello-version-1", SPOP_BAD_VERSION, SPOP_INVALID },
	{ "hello-version-20", SPOP_BAD_VERSION, SPOP_INVALID },
	{ "hello-tiny-frames", SPOP_BAD_FRAME_SIZE, SPOP_INVALID },
	{ "hello-huge-frames", SPOP_BAD_FRAME_SIZE, SPOP_INVALID },
	{ "hello-frame-size-as-text", SPOP_INVALID, SPOP_INVALID },
	{ "hello-with-stream", SPOP_INVALID, SPOP_INVALID },
	{ "hello-cut", SPOP_INVALID, SPOP_INVALID },
	{ "hello-not-fin", SPOP_FRAGMENTED, SPOP_FRAGMENTED },
	{ "notify-not-fin", SPOP_FRAGMENTED, SPOP_FRAGMENTED },
	{ "notify-abort", SPOP_FRAGMENTED, SPOP_FRAGMENTED },
	{ "unset", SPOP_FRAGMENTED, SPOP_FRAGMENTED },
	{ "notify-empty", SPOP_INVALID, ACK },
	{ "notify-unknown", SPOP_INVALID, ACK },
	{ "notify-path-null", SPOP_INVALID, ACK },
	{ "notify-two-messages", SPOP_INVALID, ASK },
	{ "notify-args-missing", SPOP_INVALID, SPOP_INVALID },
	{ "notify-reserved-type", SPOP_INVALID, SPOP_INVALID },
	{ "notify-endless-string", SPOP_INVALID, SPOP_INVALID },
	{ "notify-no-args-byte", SPOP_INVALID, SPOP_INVALID },
	{ "unknown-type", NOTHING, NOTHING },
	{ "agent-ack", NOTHING, NOTHING },
	{ "length-huge", SPOP_TOO_BIG, SPOP_TOO_BIG },
	{ "length-zero", SPOP_INVALID, SPOP_INVALID },
	{ "length-six", SPOP_INVALID, SPOP_INVALID },
	{ "ids-cut", SPOP_INVALID, SPOP_INVALID },
	{ "ids-endless", SPOP_INVALID, SPOP_INVALID },
	{ "http-request", SPOP_TOO_BIG, SPOP_TOO_BIG },
};
#define NFRAMES (sizeof(frames) / sizeof(frames[0]))

/* stream-id and frame-id, which HAProxy wants back. */
static void
ids_of(const char *name, uint64_t *stream_id, uint64_t *frame_id)
{
	uint8_t bytes[FRAME_MAX];
	struct spop_in in = { bytes, bytes + load(name, bytes) };
	enum spop_status why;
	struct spop_frame f;

	assert_int_equal(spop_get_frame(&in, FRAME_MAX, &f, &why), 1);
	*stream_id = f.stream_id;
	*frame_id = f.frame_id;
}

static void
check_outcome(const char *name, int outcome, enum session_state before)
{
	uint64_t stream_id = 0, frame_id = 0;
	bool asks = outcome == ASK;

	if (outcome == ACK || outcome == ASK)
		ids_of(name, &stream_id, &frame_id);
	switch (outcome) {
	case NOTHING:
		assert_int_equal(d.s.state, before);
		break;
	case HELLO:
		said_hello(FRAME_MAX);
		assert_int_equal(d.s.state, SESSION_OPEN);
		break;
	case CHECK:
		said_hello(FRAME_MAX);
		assert_int_equal(d.s.state, SESSION_OVER);
		break;
	case ACK:
	case ASK:
		said_ack(stream_id, frame_id, asks ? d.answer : ANSWER_NONE);
		assert_int_equal(d.s.state, SESSION_OPEN);
		break;
	default:
		said_disconnect((enum spop_status)outcome);
	}
	assert_int_equal(d.nasked, asks ? 1 : 0);
	said_nothing();
}

static void
every_frame_in_a_new_session(void **state)
{
	(void)state;
	for (size_t i = 0; i < NFRAMES; i++) {
		begin();
		hear(frames[i].frame);
		check_outcome(frames[i].frame, frames[i].in_new, SESSION_NEW);
	}
}

static void
every_frame_in_an_open_session(void **state)
{
	static const enum answer_kind answers[] = { ANSWER_FOUND, ANSWER_NONE,
		ANSWER_ERROR };

	(void)state;
	for (size_t i = 0; i < NFRAMES; i++)
		for (size_t j = 0; j < 3; j++) {
			open_session();
			d.answer = answers[j];
			hear(frames[i].frame);
			check_outcome(
			    frames[i].frame, frames[i].in_open, SESSION_OPEN);
		}
}

static void
what_comes_after_the_last_word_is_thrown_away(void **state)
{
	(void)state;
	for (size_t i = 0; i < NFRAMES; i++) {
		open_session();
		hear("haproxy-2.6-disconnect");
		said_disconnect(SPOP_NORMAL);
		hear(frames[i].frame);
		said_nothing();
		assert_int_equal(d.nasked, 0);
		assert_int_equal(d.s.status, SPOP_NORMAL);
	}
}

/* Sockets cut where they like. */
static void
frames_in_pieces_say_the_same(void **state)
{
	uint8_t bytes[2 * FRAME_MAX];
	size_t hello = load("haproxy-2.6-hello", bytes);
	size_t len = hello + load("haproxy-2.6-notify-first", bytes + hello);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		size_t used;

		begin();
		d.answer = ANSWER_FOUND;
		used = take(bytes, cut);
		assert_int_equal(used, cut < hello ? 0
				       : cut < len ? hello
						   : len);
		assert_int_equal(take(bytes + used, len - used), len - used);
		said_hello(FRAME_MAX);
		said_ack(0, 1, ANSWER_FOUND);
		said_nothing();
	}
}

static void
frame_size_is_the_smaller_of_both(void **state)
{
	(void)state;
	begin();
	hear("hello-small-frames");
	said_hello(256);
	hear("haproxy-2.6-notify-first");
	said_ack(0, 1, ANSWER_NONE);
	hear("haproxy-2.6-notify-long-path");
	said_disconnect(SPOP_TOO_BIG);

	begin();
	session_init(&d.s, 4096, ask, &d);
	hear("haproxy-2.6-hello");
	said_hello(4096);
}

static void
answers_may_come_later_and_in_any_order(void **state)
{
	struct answer found = { ANSWER_FOUND, KEYAUTH, sizeof(KEYAUTH) - 1 };
	struct answer none = { .kind = ANSWER_NONE };
	struct spop_out out;

	(void)state;
	open_session();
	d.answer = ANSWER_LATER;
	hear("haproxy-2.6-notify-first");
	hear("haproxy-3.2-notify");
	hear("notify-unknown");
	assert_int_equal(d.s.nwaiting, 2);
	said_ack(UINT64_C(1) << 32, UINT64_MAX, ANSWER_NONE);
	out = (struct spop_out){ d.out + d.len, d.out + sizeof(d.out) };
	session_answer(&d.s, &d.asked[1], &found, &out);
	session_answer(&d.s, &d.asked[0], &none, &out);
	d.said.end = out.p;
	said_ack(1, 1, ANSWER_FOUND);
	said_ack(0, 1, ANSWER_NONE);
	assert_int_equal(d.s.nwaiting, 0);
	said_nothing();
}

static void
an_answer_after_the_end_is_not_said(void **state)
{
	struct answer none = { .kind = ANSWER_NONE };
	struct spop_out out;

	(void)state;
	open_session();
	d.answer = ANSWER_LATER;
	hear("haproxy-2.6-notify-first");
	hear("haproxy-2.6-disconnect");
	said_disconnect(SPOP_NORMAL);
	out = (struct spop_out){ d.out + d.len, d.out + sizeof(d.out) };
	session_answer(&d.s, &d.asked[0], &none, &out);
	d.said.end = out.p;
	said_nothing();
}

static void
too_many_waiting_frames_are_left_for_later(void **state)
{
	struct answer none = { .kind = ANSWER_NONE };
	uint8_t bytes[FRAME_MAX];
	size_t len = load("haproxy-3.2-notify", bytes);
	struct spop_out out;

	(void)state;
	open_session();
	d.answer = ANSWER_LATER;
	for (size_t i = 0; i < SESSION_WAITING_MAX; i++)
		assert_int_equal(take(bytes, len), len);
	assert_int_equal(take(bytes, len), 0);
	said_nothing();
	out = (struct spop_out){ d.out + d.len, d.out + sizeof(d.out) };
	session_answer(&d.s, &d.asked[0], &none, &out);
	d.len = (size_t)(out.p - d.out);
	assert_int_equal(take(bytes, len), len);
}

static void
we_end_a_session_once(void **state)
{
	struct spop_out out;

	(void)state;
	open_session();
	out = (struct spop_out){ d.out + d.len, d.out + sizeof(d.out) };
	session_end(&d.s, SPOP_NORMAL, "agent stops", &out);
	session_end(&d.s, SPOP_IO_ERROR, "again", &out);
	d.said.end = out.p;
	said_disconnect(SPOP_NORMAL);
	said_nothing();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_frame_in_a_new_session),
		cmocka_unit_test(every_frame_in_an_open_session),
		cmocka_unit_test(what_comes_after_the_last_word_is_thrown_away),
		cmocka_unit_test(frames_in_pieces_say_the_same),
		cmocka_unit_test(frame_size_is_the_smaller_of_both),
		cmocka_unit_test(answers_may_come_later_and_in_any_order),
		cmocka_unit_test(an_answer_after_the_end_is_not_said),
		cmocka_unit_test(too_many_waiting_frames_are_left_for_later),
		cmocka_unit_test(we_end_a_session_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
