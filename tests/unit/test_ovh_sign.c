#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "providers/ovh_sign.h"

#define API "https://eu.api.ovh.com/1.0"

/* The first is the vendor's example. */
static const struct {
	const char *method, *url, *body;
	int64_t at_s;
	const char *signature;
} vectors[] = {
	{ "GET", API "/domains/", "", 1366560945,
	    "$1$d3705e8afb27a0d2970a322b96550abfc67bb798" },
	{ "POST", API "/domain/zone/example.com/record",
	    "{\"fieldType\":\"TXT\",\"subDomain\":\"_acme-challenge\","
	    "\"target\":\"ADw2sEd82DUgXcQ9hNBZThJs7zVJkR5v9JeSbAb9mZY\","
	    "\"ttl\":60}",
	    1700000000, "$1$2672a43f9c2e471af09e5a5ff814a0f7b77bb582" },
	{ "POST", API "/domain/zone/example.com/refresh", "", 1700000000,
	    "$1$0af36359e53aac8da29239d31020ef57abbcd182" },
};

static void
published_signatures_are_reproduced(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char signature[OVH_SIGNATURE_SIZE];
		struct http_msg_req req;

		http_msg_init(&req);
		http_msg_start(&req, vectors[i].method, vectors[i].url);
		http_msg_body(&req, "%s", vectors[i].body);
		ovh_sign(signature, "EXEgWIz07P0HYwtQDs7cNIqCiQaWSuHF",
		    "MtSwSrPpNjqfVSmJhLbPyr2i45lSwPU1", &req, vectors[i].at_s);
		assert_string_equal(signature, vectors[i].signature);
		http_msg_wipe(&req);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_signatures_are_reproduced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
