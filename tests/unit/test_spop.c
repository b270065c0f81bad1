#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/spop.h"

/* Both sides of every length boundary; bytes worked out from SPOE.txt 3.1. */
static const struct {
	uint64_t v;
	size_t len;
	const char *wire;
} varints[] = {
	{ 0, 1, "\x00" },
	{ 239, 1, "\xef" },
	{ 240, 2, "\xf0\x00" },
	{ 2287, 2, "\xff\x7f" },
	{ 2288, 3, "\xf0\x80\x00" },
	{ 264431, 3, "\xff\xff\x7f" },
	{ 264432, 4, "\xf0\x80\x80\x00" },
	{ UINT64_MAX, 10, "\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e" },
};

static void
varint_has_one_encoding(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++) {
		uint8_t buf[SPOP_VARINT_MAX];
		struct spop_out out = { buf, buf + sizeof(buf) };
		struct spop_in in = { buf, buf + varints[i].len };
		uint64_t v;

		assert_int_equal(spop_put_varint(&out, varints[i].v), 0);
		assert_int_equal(out.p - buf, varints[i].len);
		assert_memory_equal(buf, varints[i].wire, varints[i].len);
		assert_int_equal(spop_get_varint(&in, &v), 0);
		assert_true(v == varints[i].v);
		assert_ptr_equal(in.p, in.end);
	}
}

/* The off-by-one HAProxy fixed in 4a540a4fb: every prefix, cut by cut. */
static void
short_buffers_leave_the_cursor_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(varints) / sizeof(varints[0]); i++)
		for (size_t cut = 0; cut < varints[i].len; cut++) {
			uint8_t buf[SPOP_VARINT_MAX];
			struct spop_out out = { buf, buf + cut };
			struct spop_in in;
			uint64_t v;

			memcpy(buf, varints[i].wire, varints[i].len);
			in = (struct spop_in){ buf, buf + cut };
			assert_int_equal(spop_get_varint(&in, &v), -1);
			assert_ptr_equal(in.p, buf);
			assert_int_equal(
			    spop_put_varint(&out, varints[i].v), -1);
			assert_ptr_equal(out.p, buf);
		}
}

static void
varint_past_64_bits_is_refused(void **state)
{
	static const char *const bad[] = {
		"\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0f",         /* 2^64 */
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", /* endless */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint8_t *p = (const uint8_t *)bad[i];
		struct spop_in in = { p, p + (i == 0 ? 10 : 12) };
		uint64_t v;

		assert_int_equal(spop_get_varint(&in, &v), -1);
	}
}

/* The pointer overflow HAProxy fixed in bd03f0500. */
static void
string_length_cannot_leave_the_frame(void **state)
{
	/* Claims 2^64 - 1 bytes: a pointer addition would wrap around. */
	uint8_t evil[] = "\xff\xf0\xfe\xfe\xfe\xfe\xfe\xfe\xfe\x0e";
	struct spop_in in = { evil, evil + sizeof(evil) - 1 };
	uint8_t buf[16];
	struct spop_out out = { buf, buf + sizeof(buf) };
	struct spop_str s;

	(void)state;
	assert_int_equal(spop_get_str(&in, &s), -1);
	assert_ptr_equal(in.p, evil);

	assert_int_equal(spop_put_str(&out, "example.com", 11), 0);
	assert_int_equal(spop_put_str(&out, "example.com", 11), -1);
	in = (struct spop_in){ buf, out.p };
	assert_int_equal(spop_get_str(&in, &s), 0);
	assert_int_equal(s.len, 11);
	assert_memory_equal(s.ptr, "example.com", 11);
	assert_ptr_equal(in.p, out.p);
}

/* Each kind of data once, in the bytes of SPOE.txt 3.1. */
static void
every_type_of_data_is_read(void **state)
{
	static const struct {
		const char *wire;
		size_t wire_len;
		enum spop_data_type type;
		uint64_t number;
		const char *str;
	} cases[] = {
		{ "\x00", 1, SPOP_NULL, 0, "" },
		{ "\x01", 1, SPOP_BOOL, 0, "" },
		{ "\x11", 1, SPOP_BOOL, 1, "" },
		{ "\x02\x05", 2, SPOP_INT32, 5, "" },
		{ "\x03\xfc\xf0\x06", 4, SPOP_UINT32, 16380, "" },
		{ "\x04\xf0\xdb\x07", 4, SPOP_INT64, 18080, "" },
		{ "\x05\x07", 2, SPOP_UINT64, 7, "" },
		{ "\x06\x7f\x01\x01\x01", 5, SPOP_IPV4, 0, "\x7f\x01\x01\x01" },
		{ "\x07"
		  "0123456789abcdef",
		    17, SPOP_IPV6, 0, "0123456789abcdef" },
		{ "\x08\x03"
		  "GET",
		    5, SPOP_STRING, 0, "GET" },
		{ "\x09\x01x", 3, SPOP_BINARY, 0, "x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *p = (const uint8_t *)cases[i].wire;
		struct spop_in in = { p, p + cases[i].wire_len };
		struct spop_data d;

		assert_int_equal(spop_get_data(&in, &d), 0);
		assert_ptr_equal(in.p, in.end);
		assert_int_equal(d.type, cases[i].type);
		assert_true(d.number == cases[i].number);
		assert_int_equal(d.str.len, strlen(cases[i].str));
		if (d.str.len > 0)
			assert_memory_equal(d.str.ptr, cases[i].str, d.str.len);
		/* Cut anywhere, it is refused and the cursor stays. */
		for (size_t cut = 0; cut < cases[i].wire_len; cut++) {
			in = (struct spop_in){ p, p + cut };
			assert_int_equal(spop_get_data(&in, &d), -1);
			assert_ptr_equal(in.p, p);
		}
	}
}

static void
reserved_types_of_data_are_refused(void **state)
{
	(void)state;
	for (int type = 0; type < 256; type++) {
		uint8_t bytes[32] = { (uint8_t)type };
		struct spop_in in = { bytes, bytes + sizeof(bytes) };
		struct spop_data d;

		assert_int_equal(
		    spop_get_data(&in, &d), (type & 15) < 10 ? 0 : -1);
	}
}

/* As HAProxy 2.6 and 3.2 were seen to accept it. */
static void
an_ack_has_the_captured_bytes(void **state)
{
	static const char want[] =
	    "\x00\x00\x00\x25\x67\x00\x00\x00\x01\x01\x01\x01\x03\x02\x07"
	    "keyauth\x08\x11known1.THUMBPRINT";
	uint8_t buf[64];
	struct spop_out out = { buf, buf + sizeof(buf) };
	uint8_t *start = spop_begin(&out, SPOP_AGENT_ACK, 1, 1);

	(void)state;
	assert_int_equal(
	    spop_put_set_var(&out, SPOP_SCOPE_TRANSACTION, "keyauth"), 0);
	assert_int_equal(spop_put_string(&out, "known1.THUMBPRINT", 17), 0);
	assert_int_equal(spop_end(&out, start), 0);
	assert_int_equal(out.p - buf, sizeof(want) - 1);
	assert_memory_equal(buf, want, sizeof(want) - 1);
}

static void
a_frame_needs_room_to_begin(void **state)
{
	uint8_t buf[SPOP_LENGTH + 7];
	struct spop_out out = { buf, buf + sizeof(buf) };

	(void)state;
	assert_non_null(spop_begin(&out, SPOP_AGENT_ACK, 0, 0));
	for (size_t room = 0; room < sizeof(buf); room++) {
		out = (struct spop_out){ buf, buf + room };
		assert_null(spop_begin(&out, SPOP_AGENT_ACK, 0, 0));
		assert_ptr_equal(out.p, buf);
		assert_int_equal(spop_end(&out, NULL), -1);
	}
}

static void
a_frame_that_is_not_there_yet_is_waited_for(void **state)
{
	static const char wire[] =
	    "\x00\x00\x00\x08\x03\x00\x00\x00\x01\x00\x01x";
	const uint8_t *p = (const uint8_t *)wire;
	enum spop_status why;
	struct spop_frame f;
	struct spop_in in;

	(void)state;
	for (size_t cut = 0; cut < sizeof(wire) - 1; cut++) {
		in = (struct spop_in){ p, p + cut };
		assert_int_equal(spop_get_frame(&in, 256, &f, &why), 0);
		assert_ptr_equal(in.p, p);
	}
	in = (struct spop_in){ p, p + sizeof(wire) - 1 };
	assert_int_equal(spop_get_frame(&in, 256, &f, &why), 1);
	assert_int_equal(f.type, SPOP_HAPROXY_NOTIFY);
	assert_int_equal(f.flags, SPOP_FIN);
	assert_true(f.stream_id == 0 && f.frame_id == 1);
	assert_int_equal(f.payload.end - f.payload.p, 1);
	assert_ptr_equal(in.p, in.end);
}

/* Nothing may depend on bytes that were only promised. */
static void
a_length_out_of_bounds_is_refused_at_once(void **state)
{
	static const struct {
		const char *wire;
		enum spop_status why;
	} cases[] = {
		{ "\xff\xff\xff\xff", SPOP_TOO_BIG },
		{ "\x00\x00\x01\x01", SPOP_TOO_BIG },
		{ "\x00\x00\x00\x06", SPOP_INVALID },
		{ "\x00\x00\x00\x00", SPOP_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t *p = (const uint8_t *)cases[i].wire;
		struct spop_in in = { p, p + 4 };
		enum spop_status why = SPOP_NORMAL;
		struct spop_frame f;

		assert_int_equal(spop_get_frame(&in, 256, &f, &why), -1);
		assert_int_equal(why, cases[i].why);
		assert_ptr_equal(in.p, p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varint_has_one_encoding),
		cmocka_unit_test(short_buffers_leave_the_cursor_alone),
		cmocka_unit_test(varint_past_64_bits_is_refused),
		cmocka_unit_test(string_length_cannot_leave_the_frame),
		cmocka_unit_test(every_type_of_data_is_read),
		cmocka_unit_test(reserved_types_of_data_are_refused),
		cmocka_unit_test(an_ack_has_the_captured_bytes),
		cmocka_unit_test(a_frame_needs_room_to_begin),
		cmocka_unit_test(a_frame_that_is_not_there_yet_is_waited_for),
		cmocka_unit_test(a_length_out_of_bounds_is_refused_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
