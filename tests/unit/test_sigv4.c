/* Vectors of the AWS test suite, and of requests that we really send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/str.h"
#include "providers/sigv4.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define ROUTE53 "https://route53.amazonaws.com/2013-04-01/hostedzone"
#define RRSET ROUTE53 "/Z0123456789ABCDEFGHIJ/rrset"
#define CREATE_BODY                                                           \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>"                          \
	"<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws"  \
	".com/doc/2013-04-01/\"><ChangeBatch><Changes><Change><Action>CREATE" \
	"</Action><ResourceRecordSet><Name>_acme-challenge.example.com.</"    \
	"Name>"                                                               \
	"<Type>TXT</Type><TTL>60</"                                           \
	"TTL><ResourceRecords><ResourceRecord><Value>"                        \
	"\"ADw2sEd82DUgXcQ9hNBZThJs7zVJkR5v9JeSbAb9mZY\"</Value>"             \
	"</ResourceRecord></ResourceRecords></ResourceRecordSet></Change>"    \
	"</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"

#define SUITE 1440938160 /* 20150830T123600Z */
#define OURS 1692100800  /* 20230815T120000Z */

static const struct {
	const char *service;
	int64_t now_s;
	const char *method, *url, *body, *signature;
} vectors[] = {
	/* get-vanilla */
	{ "service", SUITE, "GET", "https://example.amazonaws.com/", "",
	    "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf3"
	    "1" },
	/* get-vanilla-query-order-key-case */
	{ "service", SUITE, "GET",
	    "https://example.amazonaws.com/?Param2=value2&Param1=value1", "",
	    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf250"
	    "0" },
	/* get-vanilla-empty-query-key */
	{ "service", SUITE, "GET",
	    "https://example.amazonaws.com/?Param1=value1", "",
	    "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9ae"
	    "b" },
	/* get-utf8 */
	{ "service", SUITE, "GET", "https://example.amazonaws.com/\xe1\x88\xb4",
	    "",
	    "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d8"
	    "5" },
	/* post-vanilla */
	{ "service", SUITE, "POST", "https://example.amazonaws.com/", "",
	    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6"
	    "b" },
	{ "route53", OURS, "GET",
	    "https://route53.amazonaws.com/2013-04-01/hostedzonesbyname"
	    "?dnsname=example.com&maxitems=10",
	    "",
	    "0b4f3812603903fb1f1b0e2b26dc0320bca4ff1f53f64c3a4ac122716b6baad"
	    "d" },
	{ "route53", OURS, "GET",
	    RRSET "?name=_acme-challenge.example.com.&type=TXT&maxitems=1", "",
	    "a2bc661b7fc7794bf2ea52d8a67b79ddbdd85791f95677c77ce0c6ca0f1dc6a"
	    "a" },
	{ "route53", OURS, "POST", RRSET, CREATE_BODY,
	    "46c34ee5567293443e95125ce811c302b899c7e4bc18697b95e8a052fa9e53a"
	    "1" },
};

static void
published_signatures_are_reproduced(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct sigv4 s = { "AKIDEXAMPLE", SECRET, "us-east-1",
			vectors[i].service };
		struct http_msg_req req;
		struct err e = { 0 };

		http_msg_init(&req);
		http_msg_start(&req, vectors[i].method, vectors[i].url);
		http_msg_body(&req, "%s", vectors[i].body);
		assert_int_equal(sigv4_sign(&s, vectors[i].now_s, &req, &e), 0);
		assert_int_equal(req.nheaders, 2);
		if (!str_has_suffix(req.header[1].p, vectors[i].signature))
			fail_msg("%s: %s", vectors[i].url, req.header[1].p);
		http_msg_wipe(&req);
	}
}

static void
the_credential_names_day_region_and_service(void **state)
{
	struct sigv4 s = { "AKIDEXAMPLE", SECRET, "us-east-1", "route53" };
	struct http_msg_req req;
	struct err e = { 0 };

	(void)state;
	http_msg_init(&req);
	http_msg_start(&req, "GET", RRSET);
	assert_int_equal(sigv4_sign(&s, OURS, &req, &e), 0);
	assert_string_equal(req.header[0].p, "X-Amz-Date: 20230815T120000Z");
	assert_true(str_has_prefix(req.header[1].p,
	    "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20230815/"
	    "us-east-1/route53/aws4_request, SignedHeaders=host;x-amz-date, "
	    "Signature="));
	http_msg_wipe(&req);
}

/* By name, then by value; "a" stands before "a-b" although '-' < '='. */
static void
the_query_is_sorted_and_encoded(void **state)
{
	struct http_msg_req req;
	struct buf out;

	(void)state;
	http_msg_init(&req);
	buf_init(&out, 4096);
	http_msg_start(&req, "GET", "https://h:8443/p/q?a-b=1&a=2&c&a=10&d=");
	http_msg_url_piece(&req, "x *~/\xc3\xa4");
	assert_int_equal(sigv4_canonical(&req, "20230815T120000Z", &out), 0);
	assert_true(str_has_prefix(out.p,
	    "GET\n/p/q\na=10&a=2&a-b=1&c=&d=x%20%2A~%2F%C3%A4\n"
	    "host:h:8443\nx-amz-date:20230815T120000Z\n\n"));
	buf_clear(&out);
	http_msg_wipe(&req);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_signatures_are_reproduced),
		cmocka_unit_test(the_credential_names_day_region_and_service),
		cmocka_unit_test(the_query_is_sorted_and_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
