#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/str.h"
#include "sync/api/json.h"

#define NOW INT64_C(1780000000000) /* 2026-05-28T20:26:40Z */

static void
expect(json_t *o, const char *want)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(text, want);
	free(text);
	json_decref(o);
}

static const char *
text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "(none)";
}

static void
put(char *dst, size_t size, const char *src)
{
	struct err e = { 0 };

	assert_int_equal(str_copy(dst, size, src, &e), 0);
}

static struct domain
www(enum domain_status status)
{
	struct domain d;

	domain_init(&d);
	put(d.name, sizeof(d.name), "www.shop.example");
	put(d.app, sizeof(d.app), "shop");
	d.status = status;
	d.letsencrypt = true;
	d.created_at = NOW;
	return d;
}

static void
a_new_domain_has_scalingos_fields(void **state)
{
	struct domain d = www(DOMAIN_PENDING_DNS);
	json_t *o = json_domain(&d);
	static const char *const null[] = { "validity", "acme_dns_fqdn",
		"acme_dns_value", "acme_challenge_error" };

	(void)state;
	assert_int_equal(strlen(text(o, "id")), 24);
	assert_string_equal(text(o, "app_id"), "shop");
	assert_string_equal(text(o, "name"), "www.shop.example");
	assert_string_equal(text(o, "created_at"), "2026-05-28T20:26:40.000Z");
	assert_string_equal(text(o, "ssl_status"), "pending");
	assert_string_equal(text(o, "letsencrypt_status"), "pending_dns");
	assert_true(json_is_false(json_object_get(o, "ssl")));
	assert_true(json_is_false(json_object_get(o, "canonical")));
	assert_true(json_is_false(json_object_get(o, "letsencrypt")));
	assert_true(json_is_true(json_object_get(o, "letsencrypt_enabled")));
	/* A string here makes Scalingo's own client fail. */
	assert_true(json_is_object(json_object_get(o, "acme_dns_error")));
	for (size_t i = 0; i < sizeof(null) / sizeof(null[0]); i++)
		assert_true(json_is_null(json_object_get(o, null[i])));
	assert_string_equal(
	    text(json_object_get(o, "certfleet"), "label"), "Pending DNS");
	json_decref(o);
}

static void
each_status_has_a_word_of_scalingos(void **state)
{
	static const struct {
		enum domain_status status;
		int64_t attempts, version;
		const char *word;
	} cases[] = {
		{ DOMAIN_PENDING_DNS, 0, 0, "pending_dns" },
		{ DOMAIN_CREATING, 0, 0, "new" },
		{ DOMAIN_CREATING, 1, 0, "error" },
		{ DOMAIN_IN_USE, 3, 1, "created" },
		{ DOMAIN_NOT_USED, 0, 1, "created" },
		{ DOMAIN_ACTION_REQUIRED, 0, 0, "dns_required" },
		{ DOMAIN_DISABLED, 0, 0, "new" },
		{ DOMAIN_DISABLED, 0, 1, "created" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct domain d = www(cases[i].status);
		json_t *o;

		d.attempts = cases[i].attempts;
		d.version = cases[i].version;
		memset(d.sha1, 'A', cases[i].version > 0 ? 40 : 0);
		o = json_domain(&d);
		assert_string_equal(
		    text(o, "letsencrypt_status"), cases[i].word);
		assert_int_equal(
		    json_is_true(json_object_get(o, "letsencrypt")),
		    cases[i].status == DOMAIN_IN_USE);
		json_decref(o);
	}
}

static void
a_record_that_a_person_has_to_make_is_told(void **state)
{
	struct domain d = www(DOMAIN_ACTION_REQUIRED);
	json_t *o;

	(void)state;
	put(d.acme_dns_fqdn, sizeof(d.acme_dns_fqdn),
	    "_acme-challenge.shop.example");
	put(d.acme_dns_value, sizeof(d.acme_dns_value), "value");
	d.acme_dns_until = NOW;
	o = json_domain(&d);
	assert_string_equal(
	    text(o, "acme_dns_fqdn"), "_acme-challenge.shop.example");
	assert_string_equal(text(o, "acme_dns_value"), "value");
	assert_string_equal(
	    text(json_object_get(o, "certfleet"), "acme_dns_until"),
	    "2026-05-28T20:26:40.000Z");
	json_decref(o);
	o = json_own_domain(&d);
	assert_string_equal(text(o, "acme_dns_value"), "value");
	json_decref(o);
}

/* The old certificate serves while a person has to act for the next. */
static void
a_renewal_that_waits_for_a_person_is_still_served(void **state)
{
	struct domain d = www(DOMAIN_ACTION_REQUIRED);
	json_t *o;

	(void)state;
	memset(d.sha1, 'A', 40);
	d.version = 2;
	d.proven = 1;
	o = json_domain(&d);
	assert_true(json_is_false(json_object_get(o, "letsencrypt")));
	json_decref(o);
	d.proven = 2;
	o = json_domain(&d);
	assert_true(json_is_true(json_object_get(o, "letsencrypt")));
	json_decref(o);
}

static void
our_shape_is_flat(void **state)
{
	struct domain d = www(DOMAIN_IN_USE);
	json_t *o;

	(void)state;
	put(d.serial, sizeof(d.serial), "0A1B");
	d.not_after = NOW;
	d.version = 3;
	o = json_own_domain(&d);
	assert_string_equal(text(o, "app"), "shop");
	assert_string_equal(text(o, "status"), "in_use");
	assert_string_equal(text(o, "serial"), "0A1B");
	assert_string_equal(text(o, "not_after"), "2026-05-28T20:26:40.000Z");
	assert_true(json_is_null(json_object_get(o, "reason")));
	assert_true(json_is_null(json_object_get(o, "next_at")));
	assert_int_equal(json_integer_value(json_object_get(o, "version")), 3);
	json_decref(o);
}

static void
text_that_is_not_utf8_is_escaped(void **state)
{
	(void)state;
	expect(json_pack("[o, o, o]", json_text("a\xff\x1b"), json_text(""),
		   json_text("\xc3\xa4")),
	    "[\"a\\\\xff\\\\x1b\",null,\"\xc3\xa4\"]");
}

static void
why_is_a_sentence(void **state)
{
	struct domain d = www(DOMAIN_PENDING_DNS);
	json_t *o;

	(void)state;
	put(d.reason, sizeof(d.reason), "www.shop.example points to 192.0.2.1");
	d.next_at = NOW + 41000;
	o = json_why(&d, NOW);
	assert_string_equal(text(o, "sentence"),
	    "Pending DNS: www.shop.example points to 192.0.2.1; checked again "
	    "at 2026-05-28T20:27:21.000Z");
	assert_string_equal(text(o, "next_at"), "2026-05-28T20:27:21.000Z");
	json_decref(o);

	d.next_at = NOW - 1;
	o = json_why(&d, NOW);
	assert_string_equal(text(o, "next"), "DNS is being checked");
	assert_true(json_is_null(json_object_get(o, "next_at")));
	json_decref(o);

	d.status = DOMAIN_CREATING;
	d.reason[0] = '\0';
	d.next_at = d.rate_limited_until = NOW + 1000;
	o = json_why(&d, NOW);
	assert_string_equal(text(o, "sentence"),
	    "Creating: a certificate is on its way; the CA's limit ends at "
	    "2026-05-28T20:26:41.000Z; tried again at "
	    "2026-05-28T20:26:41.000Z");
	json_decref(o);

	d.status = DOMAIN_IN_USE;
	d.renew_at = NOW + 1000;
	o = json_why(&d, NOW);
	assert_string_equal(
	    text(o, "next"), "renewed from 2026-05-28T20:26:41.000Z");
	json_decref(o);

	d.status = DOMAIN_DISABLED;
	o = json_why(&d, NOW);
	assert_string_equal(text(o, "next"), "nothing happens by itself");
	json_decref(o);
}

static void
the_longest_reason_fits_into_the_sentence(void **state)
{
	struct domain d = www(DOMAIN_CREATING);
	json_t *o;

	(void)state;
	memset(d.reason, 'r', sizeof(d.reason) - 1);
	d.next_at = d.rate_limited_until = NOW + 1000;
	o = json_why(&d, NOW);
	assert_true(str_has_suffix(
	    text(o, "sentence"), "tried again at 2026-05-28T20:26:41.000Z"));
	json_decref(o);
}

static void
a_node_serves_what_its_generation_has(void **state)
{
	struct domain d = www(DOMAIN_CREATING);
	struct store_node node[3] = {
		{ .id = "a", .gens = { 1, { 7 } }, .live = true },
		{ .id = "b", .gens = { 1, { 6 } }, .live = true },
		{ .id = "c",
		    .gens = { 1, { 9 } },
		    .errors = "w.example=no; www.shop.example=too large" },
	};

	(void)state;
	d.version = 1;
	d.gen = 7;
	expect(json_serving(&d, node, 3),
	    "[{\"error\":null,\"id\":\"a\",\"live\":true,\"serving\":true},"
	    "{\"error\":null,\"id\":\"b\",\"live\":true,\"serving\":false},"
	    "{\"error\":\"too large\",\"id\":\"c\",\"live\":false,"
	    "\"serving\":false}]");
	d.version = 0;
	expect(json_serving(&d, node, 1),
	    "[{\"error\":null,\"id\":\"a\",\"live\":true,\"serving\":false}]");
}

static void
a_node_is_told_as_its_beat_says(void **state)
{
	struct store_node node = { .id = "a",
		.at = NOW,
		.gens = { 2, { 3, 4 } },
		.version = "0.1.0",
		.haproxy = "3.0.1,2.6.12",
		.haproxy_pids = "11, 12",
		.wanted = 3,
		.served = 2,
		.failed = 1,
		.errors = "x.example=too large; y.example",
		.differs = "x.example=ABCD",
		.digest = "0F",
		.leader = true };

	(void)state;
	expect(json_node(&node),
	    "{\"applied\":[3,4],\"at\":\"2026-05-28T20:26:40.000Z\","
	    "\"barrier\":false,\"differs\":[{\"name\":\"x.example\","
	    "\"sha1\":\"ABCD\"}],\"digest\":\"0F\","
	    "\"errors\":[{\"error\":\"too large\",\"name\":\"x.example\"},"
	    "{\"error\":null,\"name\":\"y.example\"}],\"failed\":1,\"gen\":7,"
	    "\"haproxy\":[\"3.0.1\",\"2.6.12\"],\"haproxy_pids\":[\"11\","
	    "\"12\"],\"id\":\"a\",\"leader\":true,\"live\":false,\"served\":2,"
	    "\"version\":\"0.1.0\",\"wanted\":3}");
}

static void
nodes_are_compared_with_redis_and_the_leader(void **state)
{
	struct store_node node[] = {
		{ .id = "a",
		    .at = NOW,
		    .gens = { 2, { 3, 4 } },
		    .digest = "0F",
		    .leader = true,
		    .live = true },
		{ .id = "b",
		    .at = NOW,
		    .gens = { 2, { 3, 4 } },
		    .digest = "0E",
		    .live = true },
		{ .id = "c",
		    .at = NOW,
		    .gens = { 2, { 1, 4 } },
		    .digest = "0F",
		    .behind_at = NOW - 2500,
		    .live = true },
	};
	struct gens now = { 2, { 3, 4 } };
	const char *const want[] = {
		"{\"agrees\":true,\"lag\":{\"generations\":0,"
		"\"seconds\":0.0}}",
		"{\"agrees\":false,\"lag\":{\"generations\":0,"
		"\"seconds\":0.0}}",
		"{\"agrees\":null,\"lag\":{\"generations\":2,"
		"\"seconds\":3.5}}",
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		json_t *o = json_object();

		json_compare(o, &node[i], node, 3, &now, NOW + 1000);
		expect(o, want[i]);
	}
}

static void
a_timeline_is_read_with_times_for_people(void **state)
{
	static const char *const told[] = {
		"{\"at\":\"1795500000000\",\"type\":\"issued\",\"version\":"
		"\"2\"}",
		"not json",
		"[1]",
		"{\"at\":\"soon\",\"type\":\"status\"}",
	};
	json_t *list = json_timeline(told, 4);
	char *text = json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);

	(void)state;
	assert_string_equal(text,
	    "[{\"at\":\"2026-11-24T06:00:00.000Z\",\"type\":\"issued\","
	    "\"version\":\"2\"},{\"at\":\"soon\",\"type\":\"status\"}]");
	free(text);
	json_decref(list);
}

static void
domains_are_counted_by_status(void **state)
{
	struct store_counts counts = { .total = 3 };

	(void)state;
	counts.status[DOMAIN_IN_USE] = 2;
	counts.status[DOMAIN_CREATING] = 1;
	expect(json_counts(&counts),
	    "{\"action_required\":0,\"creating\":1,\"disabled\":0,\"in_use\":2,"
	    "\"not_used\":0,\"pending_dns\":0,\"total\":3}");
}

static void
stream_ids_are_in_the_order_of_their_numbers(void **state)
{
	struct stream_id a, b;

	(void)state;
	assert_int_equal(stream_id_parse("9-10", &a), 0);
	assert_int_equal(stream_id_parse("10-9", &b), 0);
	assert_true(stream_id_compare(a, b) < 0);
	assert_int_equal(stream_id_parse("9-9", &b), 0);
	assert_true(stream_id_compare(a, b) > 0);
	assert_int_equal(stream_id_compare(a, a), 0);
	assert_int_equal(stream_id_parse("9", &b), 0);
	assert_int_equal(stream_id_parse("", &b), -1);
	assert_int_equal(stream_id_parse("9-", &b), -1);
	assert_int_equal(stream_id_parse("-9", &b), -1);
	assert_int_equal(stream_id_parse("9-1x", &b), -1);
}

static void
an_event_has_times_numbers_and_text(void **state)
{
	static const char *const field[] = { "type", "issued", "at",
		"1780000000000", "version", "3", "sha1", "00", "id", "forged",
		"", "nameless", "not_after", "99999999999999999" };

	(void)state;
	expect(json_event("5-1", field, sizeof(field) / sizeof(field[0]) / 2),
	    "{\"at\":\"2026-05-28T20:26:40.000Z\",\"id\":\"5-1\","
	    "\"not_after\":\"99999999999999999\",\"sha1\":\"00\","
	    "\"type\":\"issued\",\"version\":3}");
}

static void
a_body_is_one_object_without_doubles(void **state)
{
	static const char *const bad[] = { "[]", "1", "{", "{\"a\":1,\"a\":2}",
		"{} {}", "{\"a\":\"\\u0000\"}", "\xff" };
	struct err e = { 0 };
	json_t *o;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){ 0 };
		assert_null(json_body(bad[i], strlen(bad[i]), &e));
		assert_int_equal(e.kind, ERR_REFUSED);
	}
	o = json_body("", 0, &e);
	assert_int_equal(json_object_size(o), 0);
	json_decref(o);
}

/* Read a body; what is wrong with it as text, "{}" when nothing is. */
static void
change(
    const char *body, bool need_name, struct domain_change *c, const char *want)
{
	struct err e = { 0 };
	json_t *o = json_body(body, strlen(body), &e), *errors = json_object();
	int rc;

	assert_non_null(o);
	rc = json_domain_change(o, need_name, c, errors);
	assert_int_equal(rc, json_object_size(errors) > 0 ? -1 : 0);
	json_decref(o);
	expect(errors, want);
}

static void
a_domain_is_asked_for_in_either_shape(void **state)
{
	struct domain_change c;

	(void)state;
	change("{\"domain\":{\"name\":\"WWW.Shop.example.\"}}", true, &c, "{}");
	assert_string_equal(c.name, "www.shop.example");
	assert_int_equal(c.letsencrypt_enabled, -1);
	change("{\"name\":\"a.shop.example\",\"canonical\":false,"
	       "\"letsencrypt_enabled\":true,\"tlscert\":\"\","
	       "\"tlskey\":null,\"ssl_status\":\"pending\"}",
	    true, &c, "{}");
	assert_string_equal(c.name, "a.shop.example");
	assert_int_equal(c.letsencrypt_enabled, 1);
	assert_int_equal(c.canonical, 0);
	change("{}", false, &c, "{}");
	assert_string_equal(c.name, "");
}

static void
types_are_checked_and_never_coerced(void **state)
{
	struct domain_change c;

	(void)state;
	change("{\"name\":\"a.shop.example\",\"letsencrypt_enabled\":\"false\","
	       "\"canonical\":0}",
	    true, &c,
	    "{\"canonical\":[\"must be a boolean\"],"
	    "\"letsencrypt_enabled\":[\"must be a boolean\"]}");
	change("{\"name\":7}", true, &c, "{\"name\":[\"must be a string\"]}");
	change("{\"domain\":[]}", true, &c,
	    "{\"domain\":[\"must be an object\"]}");
	change("{\"tlscert\":1}", false, &c,
	    "{\"tlscert\":[\"must be a string\"]}");
	change("{}", true, &c, "{\"name\":[\"can't be blank\"]}");
}

static void
a_field_that_a_domain_has_not_is_refused(void **state)
{
	struct domain_change c;

	(void)state;
	change("{\"letsencrypt_enable\":true}", false, &c,
	    "{\"letsencrypt_enable\":[\"is no field of a domain\"]}");
	/* Beside the one object that counts, too. */
	change("{\"domain\":{\"canonical\":true},\"tlscert\":\"\"}", false, &c,
	    "{\"tlscert\":[\"is beside \\\"domain\\\", not in it\"]}");
}

static void
what_puts_a_domain_back_is_flat_and_no_more(void **state)
{
	struct domain d;

	(void)state;
	domain_init(&d);
	str_copy(d.name, sizeof(d.name), "www.shop.example", NULL);
	expect(json_spec(&d),
	    "{\"letsencrypt_enabled\":true,\"name\":\"www.shop.example\"}");
	d.canonical = true;
	d.letsencrypt = false;
	expect(json_spec(&d),
	    "{\"canonical\":true,\"letsencrypt_enabled\":false,"
	    "\"name\":\"www.shop.example\"}");
}

/* Read a body; the strings of c live in it. */
static json_t *
asked(const char *text, struct domain_change *c, int expected)
{
	struct err e = { 0 };
	json_t *o = json_body(text, strlen(text), &e), *errors = json_object();

	assert_non_null(o);
	assert_int_equal(json_domain_change(o, false, c, errors), expected);
	json_decref(errors);
	return o;
}

static void
a_certificate_comes_with_its_key_and_goes_by_blanks(void **state)
{
	struct domain_change c;
	json_t *o;

	(void)state;
	o = asked("{\"tlscert\":\"C\",\"tlskey\":\"K\"}", &c, 0);
	assert_string_equal(c.tlscert, "C");
	assert_string_equal(c.tlskey, "K");
	assert_int_equal(c.letsencrypt_enabled, -1);
	json_forget(o);
	o = asked("{\"tlscert\":\"\",\"tlskey\":\"\"}", &c, 0);
	assert_string_equal(c.tlscert, "");
	json_forget(o);
	o = asked("{\"tlskey\":\"\",\"letsencrypt_enabled\":false}", &c, 0);
	assert_string_equal(c.tlscert, "");
	assert_int_equal(c.letsencrypt_enabled, 0);
	json_forget(o);
	o = asked("{\"tlscert\":null}", &c, 0);
	assert_null(c.tlscert);
	json_forget(o);
	json_forget(asked("{\"tlscert\":\"C\"}", &c, -1));
	json_forget(asked("{\"tlscert\":\"C\",\"tlskey\":\"\"}", &c, -1));
	json_forget(asked("{\"domain\":{\"tlskey\":\"K\"}}", &c, -1));
}

static void
a_custom_certificate_is_told_but_for_its_key(void **state)
{
	struct domain d;
	json_t *o;

	(void)state;
	domain_init(&d);
	memset(d.custom_sha1, 'A', 40);
	memcpy(d.custom_subject, "/CN=own", 8);
	memcpy(d.custom_key, "EC private key - 256 bits", 26);
	d.custom_not_after = 1000;
	d.version = 1;
	d.status = DOMAIN_NOT_USED;
	o = json_domain(&d);
	assert_true(json_is_true(json_object_get(o, "ssl")));
	assert_string_equal(
	    json_string_value(json_object_get(o, "ssl_status")), "pending");
	assert_string_equal(
	    json_string_value(json_object_get(o, "tlscert")), "/CN=own");
	assert_string_equal(json_string_value(json_object_get(o, "tlskey")),
	    "EC private key - 256 bits");
	assert_string_equal(json_string_value(json_object_get(o, "validity")),
	    "1970-01-01T00:00:01.000Z");
	assert_true(json_is_false(json_object_get(o, "letsencrypt")));
	json_decref(o);
	d.proven = 1;
	o = json_domain(&d);
	assert_string_equal(
	    json_string_value(json_object_get(o, "ssl_status")), "success");
	json_decref(o);
}

static void
a_hostile_name_comes_back_as_a_sentence(void **state)
{
	static const char *const bad[] = { "a;b.example", "a\\nb.example", "..",
		"a.*.example", "1.2.3.4", "example", "a b.example",
		"../../etc/passwd" };
	struct domain_change c;
	struct err e = { 0 };
	json_t *o, *errors;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char body[128];

		snprintf(body, sizeof(body), "{\"name\":\"%s\"}", bad[i]);
		o = json_body(body, strlen(body), &e);
		assert_non_null(o);
		errors = json_object();
		assert_int_equal(json_domain_change(o, true, &c, errors), -1);
		assert_string_equal(c.name, "");
		assert_true(json_string_length(json_array_get(
				json_object_get(errors, "name"), 0)) > 10);
		json_decref(errors);
		json_decref(o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_domain_has_scalingos_fields),
		cmocka_unit_test(each_status_has_a_word_of_scalingos),
		cmocka_unit_test(a_record_that_a_person_has_to_make_is_told),
		cmocka_unit_test(
		    a_renewal_that_waits_for_a_person_is_still_served),
		cmocka_unit_test(our_shape_is_flat),
		cmocka_unit_test(text_that_is_not_utf8_is_escaped),
		cmocka_unit_test(why_is_a_sentence),
		cmocka_unit_test(the_longest_reason_fits_into_the_sentence),
		cmocka_unit_test(a_node_serves_what_its_generation_has),
		cmocka_unit_test(a_node_is_told_as_its_beat_says),
		cmocka_unit_test(nodes_are_compared_with_redis_and_the_leader),
		cmocka_unit_test(a_timeline_is_read_with_times_for_people),
		cmocka_unit_test(domains_are_counted_by_status),
		cmocka_unit_test(stream_ids_are_in_the_order_of_their_numbers),
		cmocka_unit_test(an_event_has_times_numbers_and_text),
		cmocka_unit_test(a_body_is_one_object_without_doubles),
		cmocka_unit_test(a_domain_is_asked_for_in_either_shape),
		cmocka_unit_test(types_are_checked_and_never_coerced),
		cmocka_unit_test(a_field_that_a_domain_has_not_is_refused),
		cmocka_unit_test(what_puts_a_domain_back_is_flat_and_no_more),
		cmocka_unit_test(
		    a_certificate_comes_with_its_key_and_goes_by_blanks),
		cmocka_unit_test(a_custom_certificate_is_told_but_for_its_key),
		cmocka_unit_test(a_hostile_name_comes_back_as_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
