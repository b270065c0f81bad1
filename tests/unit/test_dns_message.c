#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sync/dns_message.h"

static void
a_question_is_written_as_rfc_1035_has_it(void **state)
{
	static const char wire[] = "\x12\x34\0\0\0\1\0\0\0\0\0\0"
				   "\4shop\7example\0\0\x10\0\1";
	uint8_t out[DNS_QUERY_MAX];

	(void)state;
	assert_int_equal(dns_query_make(out, 0x1234, "shop.example", DNS_TXT),
	    sizeof(wire) - 1);
	assert_memory_equal(out, wire, sizeof(wire) - 1);
	assert_int_equal(dns_query_make(out, 0, "", DNS_SOA), 17);
}

static void
any_name_that_was_read_can_be_asked_for(void **state)
{
	static const char name[] =
	    "_acme-challenge.a\\046b\\092\\000\\255.test";
	uint8_t out[DNS_QUERY_MAX];
	struct dns_message m = { out, 0 };
	size_t at = DNS_HEADER;
	char back[256];

	(void)state;
	m.len = dns_query_make(out, 7, name, DNS_TXT);
	assert_int_not_equal(m.len, 0);
	assert_memory_equal(out + DNS_HEADER + 16, "\6a.b\\\0\xff\4test", 13);
	assert_int_equal(dns_message_name(&m, &at, back), 0);
	assert_string_equal(back, name);
	assert_int_equal(at, m.len - 4);
}

static void
what_is_no_name_is_no_question(void **state)
{
	static const char *const bad[] = { ".", "a..b", ".a", "a\\", "a\\04",
		"a\\256", "a\\x41" };
	char label[65], name[400];
	uint8_t out[DNS_QUERY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(dns_query_make(out, 0, bad[i], DNS_TXT), 0);
	memset(label, 'x', 64);
	label[64] = '\0';
	assert_int_equal(dns_query_make(out, 0, label, DNS_TXT), 0);
	for (int last = 61; last <= 62; last++) {
		snprintf(name, sizeof(name), "%.63s.%.63s.%.63s.%.*s", label,
		    label, label, last, label);
		assert_int_equal(dns_query_make(out, 0, name, DNS_TXT),
		    last == 61 ? DNS_HEADER + 255 + 4 : 0);
	}
}

static void
only_the_reply_to_a_question_answers_it(void **state)
{
	uint8_t query[DNS_QUERY_MAX], reply[DNS_QUERY_MAX];
	size_t len;

	(void)state;
	len = dns_query_make(query, 0x1234, "shop.example", DNS_TXT);
	memcpy(reply, query, sizeof(reply));
	assert_false(dns_query_is_answered(query, reply, len)); /* itself */
	reply[2] = 0x84;
	assert_true(dns_query_is_answered(query, reply, len));
	for (size_t cut = 0; cut < len; cut++)
		assert_false(dns_query_is_answered(query, reply, cut));
	reply[DNS_HEADER + 1] = 'S'; /* case does not matter */
	assert_true(dns_query_is_answered(query, reply, len));
	for (size_t i = 0; i < len; i++) {
		if (i == 3 || (i >= 6 && i < DNS_HEADER))
			continue; /* rcode, counts */
		reply[i] ^= i == 2 ? 0x80 : 0x01;
		if (i != 2 || (reply[i] & 0x80) == 0)
			assert_false(dns_query_is_answered(query, reply, len));
		reply[i] ^= i == 2 ? 0x80 : 0x01;
	}
}

static void
an_error_may_come_without_the_question(void **state)
{
	uint8_t query[DNS_QUERY_MAX], reply[DNS_HEADER] = { 0x12, 0x34, 0x80 };

	(void)state;
	dns_query_make(query, 0x1234, "shop.example", DNS_TXT);
	assert_false(dns_query_is_answered(query, reply, sizeof(reply)));
	reply[3] = DNS_REFUSED;
	assert_true(dns_query_is_answered(query, reply, sizeof(reply)));
}

static void
names_are_within_zones_by_whole_labels(void **state)
{
	(void)state;
	assert_true(dns_name_is_within("shop.example", "shop.example"));
	assert_true(dns_name_is_within("a.Shop.example", "sHop.example"));
	assert_true(dns_name_is_within("a", ""));
	assert_false(dns_name_is_within("notshop.example", "shop.example"));
	assert_false(dns_name_is_within("example", "shop.example"));
	assert_false(dns_name_is_within("", "example"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_written_as_rfc_1035_has_it),
		cmocka_unit_test(any_name_that_was_read_can_be_asked_for),
		cmocka_unit_test(what_is_no_name_is_no_question),
		cmocka_unit_test(only_the_reply_to_a_question_answers_it),
		cmocka_unit_test(an_error_may_come_without_the_question),
		cmocka_unit_test(names_are_within_zones_by_whole_labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
