#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/domain.h"
#include "common/mem.h"

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* --- names -------------------------------------------------------------------- */

static const struct {
	const char *input, *name;
} good[] = {
	{ "example.com", "example.com" },
	{ "WWW.Example.COM", "www.example.com" },
	{ "example.com.", "example.com" },
	{ "*.example.com", "*.example.com" },
	{ "*.EXAMPLE.co.uk.", "*.example.co.uk" },
	{ "shop.test", "shop.test" },
	{ "a--b.example", "a--b.example" },
	{ "1a.example", "1a.example" },
	{ "123.example.com", "123.example.com" },
	{ "github.io", "github.io" },
	{ "b\xc3\xbc"
	  "cher.example",
	    "xn--bcher-kva.example" },
	{ "B\xc3\x9c"
	  "CHER.example",
	    "xn--bcher-kva.example" },
	{ "bu\xcc\x88"
	  "cher.example",
	    "xn--bcher-kva.example" },
	{ "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
	{ "*.fa\xc3\x9f.de", "*.xn--fa-hia.de" },
	{ "example\xe3\x80\x82"
	  "com",
	    "example.com" },
	{ "a.b.c.d.e.f.g.h.i.example", "a.b.c.d.e.f.g.h.i.example" },
	{ L63 "." L63 "." L63 "." L61, L63 "." L63 "." L63 "." L61 },
};

static void
names_have_one_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char out[DOMAIN_NAME_MAX], again[DOMAIN_NAME_MAX];
		struct err e;

		if (domain_normalise(good[i].input, out, &e) == -1)
			fail_msg("%s", e.text);
		assert_string_equal(out, good[i].name);
		assert_int_equal(domain_normalise(out, again, &e), 0);
		assert_string_equal(again, out);
	}
}

static const struct {
	const char *input, *why;
} hostile[] = {
	{ "", "the domain name is empty" },
	{ ".", "\".\" has an empty label" },
	{ "foo..example.com", "\"foo..example.com\" has an empty label" },
	{ ".example.com", "\".example.com\" has an empty label" },
	{ "example.com..", "\"example.com..\" has an empty label" },
	{ "localhost",
	    "\"localhost\" has no dot; a full name such as www.example.com "
	    "is needed" },
	{ "192.0.2.1", "\"192.0.2.1\" is an IP address, not a domain name" },
	{ "2001:db8::1",
	    "\"2001:db8::1\" is an IP address, not a domain name" },
	{ "127.1", "\"127.1\" is an IP address, not a domain name" },
	{ "0x7f.0x1", "\"0x7f.0x1\" is an IP address, not a domain name" },
	{ "co.uk",
	    "\"co.uk\" is a public suffix: nobody can get a certificate for "
	    "it" },
	{ "*.co.uk",
	    "\"*.co.uk\" is a public suffix: nobody can get a certificate "
	    "for it" },
	{ "www.*.com", NULL },
	{ "a*.example.com", NULL },
	{ "**.example.com", NULL },
	{ "*.*.example.com", NULL },
	{ "*", NULL },
	{ "*.", NULL },
	{ "*.com", NULL },
	{ "-a.example.com", NULL },
	{ "a-.example.com", NULL },
	{ "ab--c.example.com", NULL },
	{ "xn--a.example", NULL },
	{ "xn--.example", NULL },
	{ "xn--bcher-kva8.example", NULL },
	/* A-labels of what is not normalised: u and U+0308, Ohm, sharp S. */
	{ "xn--bucher-xyd.example", NULL },
	{ "xn--hm-oqu.example", NULL },
	{ "xn--strae-301b.example", NULL },
	{ "xn--abc-6m0a.example", NULL },
	{ "xn--abc-.example", NULL },
	{ "a_b.example.com", NULL },
	{ "a b.example.com", NULL },
	{ " example.com", NULL },
	{ "example.com ", NULL },
	{ "example.com\n", NULL },
	{ "a;b.example.com", NULL },
	{ "../../etc/passwd", NULL },
	{ "example.com/..", NULL },
	{ "https://example.com", NULL },
	{ "example.com:443", NULL },
	{ "user@example.com", NULL },
	{ "\xf0\x9f\x92\xa9.la", NULL },
	{ "\xff\xfe.example", NULL },
	{ "a.b.c.d.e.f.g.h.i.j.example", NULL },
	{ L63 "a.example", NULL },
	{ L63 "." L63 "." L63 "." L63, NULL },
};

static void
hostile_names_are_refused_with_a_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		char out[DOMAIN_NAME_MAX];
		struct err e = { 0 };

		if (domain_normalise(hostile[i].input, out, &e) == 0)
			fail_msg("accepted \"%s\"", hostile[i].input);
		assert_string_equal(out, "");
		assert_int_equal(e.kind, ERR_REFUSED);
		assert_null(strpbrk(e.text, "\n\r\x1b\xff"));
		if (hostile[i].why != NULL)
			assert_string_equal(e.text, hostile[i].why);
	}
}

static void
a_name_of_any_length_is_refused_in_one_short_line(void **state)
{
	char input[5000], out[DOMAIN_NAME_MAX];
	struct err e;

	(void)state;
	for (size_t len = 254; len < sizeof(input); len += 97) {
		memset(input, '\n', len);
		input[len] = '\0';
		assert_int_equal(domain_normalise(input, out, &e), -1);
		assert_null(strchr(e.text, '\n'));
	}
}

static void
a_wildcard_covers_one_label(void **state)
{
	(void)state;
	assert_true(domain_covers("example.com", "Example.com"));
	assert_false(domain_covers("example.com", "www.example.com"));
	assert_true(domain_covers("*.example.com", "www.example.com"));
	assert_false(domain_covers("*.example.com", "example.com"));
	assert_false(domain_covers("*.example.com", "a.b.example.com"));
	assert_false(domain_covers("*.example.com", ".example.com"));
	assert_false(domain_covers("*.example.com", "wwwxexample.com"));
	assert_string_equal(domain_base("*.example.com"), "example.com");
	assert_string_equal(domain_base("example.com"), "example.com");
}

static void
the_registered_domain_is_by_the_public_suffix_list(void **state)
{
	(void)state;
	assert_string_equal(
	    domain_registered("a.b.example.co.uk"), "example.co.uk");
	assert_string_equal(domain_registered("*.example.com"), "example.com");
	assert_string_equal(
	    domain_registered("www.me.github.io"), "me.github.io");
	assert_string_equal(domain_registered("github.io"), "github.io");
	assert_string_equal(domain_registered("a.shop.test"), "shop.test");
}

static void
partitions_are_crc32(void **state)
{
	(void)state;
	/* The check value of the polynomial: crc32("123456789"). */
	assert_int_equal(
	    domain_partition("123456789", INT32_MAX), 0xcbf43926u % INT32_MAX);
	assert_int_equal(domain_partition("example.com", 1), 0);
	for (int n = 2; n < 100; n++)
		assert_in_range(domain_partition("example.com", n), 0, n - 1);
}

static void
files_and_ids_are_made_from_names(void **state)
{
	char file[DOMAIN_FILE_MAX], id[DOMAIN_ID_MAX];

	(void)state;
	domain_file("*.example.com", file);
	assert_string_equal(file, "_wildcard_.example.com");
	domain_file("example.com", file);
	assert_string_equal(file, "example.com");
	/* sha256("example.com") = a379a6f6eeafb9a55e378c11... */
	domain_id("example.com", id);
	assert_string_equal(id, "a379a6f6eeafb9a55e378c11");
}

static void
app_names_are_safe_everywhere(void **state)
{
	static const char *const bad[] = { "", ".", "..", "-a", "a b", "a/b",
		"a:b", "a\n", "{p0}", L63 "a" };
	struct err e;

	(void)state;
	assert_int_equal(domain_app_check("my-app_1.x", &e), 0);
	assert_int_equal(domain_app_check(L63, &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(domain_app_check(bad[i], &e), -1);
		assert_int_equal(e.kind, ERR_REFUSED);
	}
}

static void
statuses_have_names_and_labels(void **state)
{
	(void)state;
	for (int s = 0; s < DOMAIN_STATUSES; s++) {
		assert_int_equal(domain_status_parse(
				     domain_status_name((enum domain_status)s)),
		    s);
		assert_non_null(domain_status_label((enum domain_status)s));
	}
	assert_string_equal(
	    domain_status_label(DOMAIN_ACTION_REQUIRED), "Action required");
	assert_int_equal(domain_status_parse("In use"), -1);
}

/* --- the record ------------------------------------------------------------------ */

static void
put_line(void *arg, const char *field, const char *value)
{
	assert_int_equal(buf_putf(arg, "%s=%s\n", field, value), 0);
}

static void
put_name(void *arg, const char *field)
{
	assert_int_equal(buf_putf(arg, "%s ", field), 0);
}

static void
set(struct domain *d, const char *field, const char *value)
{
	struct err e;

	if (domain_set(d, field, value, &e) == -1)
		fail_msg("%s", e.text);
}

static void
a_record_is_its_fields_that_have_a_value(void **state)
{
	struct domain d;
	struct buf text;

	(void)state;
	domain_init(&d);
	buf_init(&text, 65536);
	set(&d, "name", "shop.test");
	set(&d, "app", "my-app");
	set(&d, "status", "in_use");
	set(&d, "letsencrypt", "0");
	set(&d, "sha1", "0123456789ABCDEF0123456789ABCDEF01234567");
	set(&d, "not_after", "1790000000000");
	set(&d, "reason", "");
	domain_each(&d, put_line, &text);
	assert_string_equal(text.p,
	    "name=shop.test\napp=my-app\nstatus=in_use\nletsencrypt=0\n"
	    "canonical=0\n"
	    "sha1=0123456789ABCDEF0123456789ABCDEF01234567\n"
	    "not_after=1790000000000\nepoch=0\n");
	buf_clear(&text);
	domain_each_absent(&d, put_name, &text);
	assert_string_equal(text.p,
	    "reason action last_error serial issuer not_before renew_at "
	    "next_at created_at status_at rate_limited_until ca ari_id "
	    "ari_id_second ca_second ari_poll_at ari_start ari_end "
	    "explanation_url "
	    "attempts "
	    "version proven gen revoke changed_at custom_sha1 custom_serial "
	    "custom_issuer custom_subject custom_key custom_note "
	    "custom_not_before custom_not_after custom_left_at "
	    "acme_dns_fqdn acme_dns_value acme_dns_account acme_dns_until "
	    "canary custom_trial_at rolled_back_at ");
	buf_clear(&text);
	domain_clear(&d);
}

static void
values_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *field, *value;
	} bad[] = {
		{ "status", "In use" },
		{ "status", "" },
		{ "letsencrypt", "2" },
		{ "letsencrypt", "true" },
		{ "not_after", "-1" },
		{ "not_after", "1e14" },
		{ "not_after", "99999999999999999999" },
		{ "epoch", "" },
		{ "name", "../etc/passwd" },
		{ "name", "a;b.example.com" },
		{ "name", "UPPER.example.com" },
		{ "app", "a b" },
		{ "sha1", "abcdef" },
		{ "sha1", "0123456789ABCDEF0123456789ABCDEF012345678" },
		{ "serial", "x" },
		{ "", "x" },
	};
	struct domain d;
	struct err e;

	(void)state;
	domain_init(&d);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (domain_set(&d, bad[i].field, bad[i].value, &e) == 0)
			fail_msg("%s=%s", bad[i].field, bad[i].value);
		assert_int_equal(e.kind, ERR_BUG);
		assert_non_null(strstr(e.text, bad[i].field));
	}
	assert_string_equal(d.name, "");
	domain_clear(&d);
}

static void
unknown_fields_are_kept(void **state)
{
	struct domain d, copy;
	struct buf packed, text;
	struct err e;

	(void)state;
	domain_init(&d);
	domain_init(&copy);
	buf_init(&packed, 65536);
	buf_init(&text, 65536);
	set(&d, "name", "shop.test");
	set(&d, "from_the_future", "1");
	set(&d, "from_the_future", "2");
	set(&d, "another", "");
	assert_int_equal(domain_pack(&d, &packed, &e), 0);
	if (domain_unpack(&copy, packed.p, packed.len, &e) == -1)
		fail_msg("%s", e.text);
	domain_each(&copy, put_line, &text);
	assert_string_equal(text.p,
	    "name=shop.test\nstatus=pending_dns\nletsencrypt=1\n"
	    "canonical=0\nepoch=0\n"
	    "from_the_future=2\nanother=\n");
	domain_clear(&d);
	domain_clear(&copy);
	domain_clear(&copy);
	buf_clear(&packed);
	buf_clear(&text);
}

static void
unknown_fields_have_a_limit(void **state)
{
	struct domain d;
	struct err e;
	char name[32];
	int n = 0, rc = 0;

	(void)state;
	domain_init(&d);
	while (rc == 0 && n < 1000) {
		snprintf(name, sizeof(name), "extra%d", n++);
		rc = domain_set(&d, name, "x", &e);
	}
	assert_int_equal(rc, -1);
	assert_true(n <= DOMAIN_FIELDS_MAX);
	domain_clear(&d);
}

/* Five bytes made msgpack allocate 2 to 4 GB. */
static const struct {
	const char *bytes;
	size_t len;
} bombs[] = {
	{ "", 0 },
	{ "\xdd\x05\x00\x00\x00", 5 },
	{ "\xdf\x05\x00\x00\x00", 5 },
	{ "\xde\x00\x81", 3 },
	{ "\x81\xa1"
	  "a\xdd\x05\x00\x00\x00",
	    8 },
	{ "\x81\xa1"
	  "a\xdb\xff\xff\xff\xff",
	    8 },
	{ "\x81\xa1"
	  "a\x81\xa1"
	  "b\xa1"
	  "c",
	    9 },
	{ "\x81\xa1"
	  "a\x01",
	    4 },
	{ "\x81\xa1"
	  "a\xa1"
	  "b\xc0",
	    6 },
	{ "\x81\xa1"
	  "a\xa2"
	  "b\0",
	    6 },
	{ "\x81\xa1"
	  "a",
	    3 },
	{ "\x90", 1 },
	{ "\xc0", 1 },
};

static void
bytes_that_are_no_record_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
		char *exact = xmalloc(bombs[i].len);
		struct domain d;
		struct err e;

		domain_init(&d);
		memcpy(exact, bombs[i].bytes, bombs[i].len);
		assert_int_equal(
		    domain_unpack(&d, exact, bombs[i].len, &e), -1);
		assert_int_equal(e.kind, ERR_BUG);
		domain_clear(&d);
		free(exact);
	}
}

static void
a_record_without_room_leaves_nothing_behind(void **state)
{
	struct domain d;
	struct buf out;
	struct err e;

	(void)state;
	domain_init(&d);
	set(&d, "name", "shop.test");
	buf_init(&out, 20);
	assert_int_equal(buf_puts(&out, "before"), 0);
	assert_int_equal(domain_pack(&d, &out, &e), -1);
	assert_string_equal(out.p, "before");
	buf_clear(&out);
	domain_clear(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_one_form),
		cmocka_unit_test(hostile_names_are_refused_with_a_sentence),
		cmocka_unit_test(
		    a_name_of_any_length_is_refused_in_one_short_line),
		cmocka_unit_test(a_wildcard_covers_one_label),
		cmocka_unit_test(
		    the_registered_domain_is_by_the_public_suffix_list),
		cmocka_unit_test(partitions_are_crc32),
		cmocka_unit_test(files_and_ids_are_made_from_names),
		cmocka_unit_test(app_names_are_safe_everywhere),
		cmocka_unit_test(statuses_have_names_and_labels),
		cmocka_unit_test(a_record_is_its_fields_that_have_a_value),
		cmocka_unit_test(values_that_cannot_be_are_refused),
		cmocka_unit_test(unknown_fields_are_kept),
		cmocka_unit_test(unknown_fields_have_a_limit),
		cmocka_unit_test(bytes_that_are_no_record_are_refused),
		cmocka_unit_test(a_record_without_room_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
