#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/mem.h"
#include "sync/order.h"
#include "tests/unit/certs.h"

/* What we do by ourselves in a dialogue, instead of asking a URL. */
#define PUBLISH "(publish)"
#define KEY "(make the key)"

/* A dialogue: what we expect to be asked, and what the CA says to it. */
struct line {
	const char *url;
	const char *location;
	const char *body;
};

/* Returns the number of lines that went well. */
static size_t
play(struct order *o, const struct line *l, struct err *e)
{
	size_t i;

	for (i = 0; l[i].url != NULL; i++) {
		struct ask ask;
		struct reply r = { .status = 200, .location = "" };
		json_t *body = NULL;
		int rc;

		if (order_ask(o, &ask, e) == -1)
			break;
		json_decref(ask.payload);
		if (ask.what != ASK_POST) {
			assert_string_equal(
			    ask.what == ASK_PUBLISH ? PUBLISH : KEY, l[i].url);
			if (ask.what == ASK_CSR)
				o->csr = xstrdup("csr");
			if (order_got(o, NULL, e) == -1)
				break;
			continue;
		}
		assert_string_equal(ask.url, l[i].url);
		if (l[i].body != NULL && l[i].body[0] == '{')
			assert_non_null(body = json_loads(l[i].body, 0, NULL));
		r.location = l[i].location != NULL ? l[i].location : "";
		r.body = body;
		r.text = l[i].body != NULL ? l[i].body : "";
		r.len = strlen(r.text);
		rc = order_got(o, &r, e);
		json_decref(body);
		if (rc == -1)
			break;
	}
	return i;
}

/* The whole dialogue goes well and leaves the order in this state. */
static void
ends_in(struct order *o, const struct line *l, enum order_state s)
{
	struct err e = { 0 };
	size_t n = play(o, l, &e);

	assert_string_equal(e.text, "");
	assert_null(l[n].url);
	assert_string_equal(order_state_name(o->state), order_state_name(s));
	order_clear(o);
}

/* The last line of the dialogue fails with this kind and sentence. */
static void
fails_with(
    struct order *o, const struct line *l, enum err_kind kind, const char *text)
{
	struct err e = { 0 };
	size_t n = play(o, l, &e);

	assert_string_equal(e.text, text);
	assert_int_equal(e.kind, kind);
	assert_non_null(l[n].url);
	assert_null(l[n + 1].url);
	order_clear(o);
}

#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define ORDER(status, more) \
	"{\"status\":\"" status "\",\"finalize\":\"/f\"" more "}"
#define PENDING ORDER("pending", ",\"authorizations\":[\"/a\"]")
#define READY ORDER("ready", "")
#define PROCESSING ORDER("processing", "")
#define VALID ORDER("valid", ",\"certificate\":\"/c\"")
#define AUTHZ_OF(name, status, challenge)                                     \
	"{\"status\":\"" status "\",\"identifier\":{\"type\":\"dns\","        \
	"\"value\":\"" name "\"},\"challenges\":[{\"type\":\"dns-01\","       \
	"\"url\":\"/d\",\"token\":\"" TOKEN "\"},{\"type\":\"http-01\","      \
	"\"url\":\"/h\",\"token\":\"" TOKEN "\",\"status\":\"" challenge "\"" \
	"}]}"
#define AUTHZ(status, challenge) AUTHZ_OF("a.test", status, challenge)
#define PEM "-----BEGIN CERTIFICATE-----\n"
#define END       \
	{         \
		0 \
	}

static struct order
new_order(void)
{
	return (struct order){ .names = { "a.test" }, .nnames = 1 };
}

static struct order
saved_order(enum order_state s)
{
	struct order o = new_order();

	o.state = s;
	o.url = xstrdup("/o");
	order_resume(&o);
	return o;
}

static void
the_usual_dialogue(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL, AUTHZ("pending", "pending") },
		{ PUBLISH, NULL, NULL },
		{ "/h", NULL, "{}" },
		{ "/a", NULL, AUTHZ("pending", "processing") },
		{ "/a", NULL, AUTHZ("valid", "valid") },
		{ KEY, NULL, NULL },
		{ "/f", NULL, PROCESSING },
		{ "/o", NULL, PROCESSING },
		{ "/o", NULL, VALID },
		{ "/c", NULL, PEM },
		END,
	};
	struct order o = new_order();

	(void)state;
	ends_in(&o, lines, ORDER_DONE);
}

static void
two_names_are_two_authorizations(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o",
		    ORDER("pending", ",\"authorizations\":[\"/1\",\"/2\"]") },
		{ "/1", NULL, AUTHZ("pending", "pending") },
		{ "/2", NULL, AUTHZ_OF("b.test", "pending", "pending") },
		{ PUBLISH, NULL, NULL },
		{ "/h", NULL, "{}" },
		{ "/1", NULL, AUTHZ("valid", "valid") },
		{ PUBLISH, NULL, NULL },
		{ "/h", NULL, "{}" },
		{ "/2", NULL, AUTHZ_OF("b.test", "valid", "valid") },
		END,
	};
	struct order o = { .names = { "a.test", "b.test" }, .nnames = 2 };

	(void)state;
	ends_in(&o, lines, ORDER_FINALIZE);
}

static void
what_is_published_is_the_current_token(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL, AUTHZ("pending", "pending") },
		END,
	};
	struct order o = new_order();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(play(&o, lines, &e), 2);
	assert_string_equal(order_authz(&o)->token, TOKEN);
	assert_string_equal(order_authz(&o)->name, "a.test");
	order_clear(&o);
}

/* HAProxy 0f02a62da: a CA may hand back an order that is already valid. */
static void
a_recycled_order_needs_no_challenge(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", VALID },
		{ "/c", NULL, PEM },
		END,
	};
	struct order o = new_order();

	(void)state;
	ends_in(&o, lines, ORDER_DONE);
}

/* HAProxy 418f0c0bb: so may a single authorization. */
static void
a_valid_authorization_is_skipped(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL, AUTHZ("valid", "valid") },
		END,
	};
	struct order o = new_order();

	(void)state;
	ends_in(&o, lines, ORDER_FINALIZE);
}

/* orderNotReady: the driver resumes the order, and then it is waited for. */
static void
a_ca_that_needs_time_after_the_authorization_gets_it(void **state)
{
	static const struct line lines[] = {
		{ "/o", NULL, PENDING },
		{ "/a", NULL, AUTHZ("valid", "valid") },
		{ "/o", NULL, PENDING },
		{ "/o", NULL, READY },
		END,
	};
	struct order o = saved_order(ORDER_FINALIZE);

	(void)state;
	ends_in(&o, lines, ORDER_FINALIZE);
}

static void
a_ready_order_goes_straight_to_finalize(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", READY },
		{ KEY, NULL, NULL },
		{ "/f", NULL, VALID },
		{ "/c", NULL, PEM },
		END,
	};
	struct order o = new_order();

	(void)state;
	ends_in(&o, lines, ORDER_DONE);
}

/* Killed between newOrder and the challenge. */
static void
a_saved_order_learns_its_authorizations_again(void **state)
{
	static const enum order_state at[] = { ORDER_NEW, ORDER_AUTHZ,
		ORDER_PRESENT, ORDER_ANSWER };
	static const struct line lines[] = {
		{ "/o", NULL, PENDING },
		{ "/a", NULL, AUTHZ("pending", "pending") },
		{ PUBLISH, NULL, NULL },
		{ "/h", NULL, "{}" },
		{ "/a", NULL, AUTHZ("valid", "valid") },
		{ "/o", NULL, READY },
		END,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct order o = saved_order(at[i]);

		ends_in(&o, lines, ORDER_FINALIZE);
	}
}

/* boulder#8838: a second POST to a challenge being looked at is 409. */
static void
a_challenge_in_progress_is_published_but_not_answered_again(void **state)
{
	static const struct line lines[] = {
		{ "/o", NULL, PENDING },
		{ "/a", NULL, AUTHZ("pending", "processing") },
		{ PUBLISH, NULL, NULL },
		{ "/a", NULL, AUTHZ("pending", "processing") },
		{ "/a", NULL, AUTHZ("valid", "valid") },
		{ "/o", NULL, READY },
		END,
	};
	struct order o = saved_order(ORDER_CHECK);

	(void)state;
	ends_in(&o, lines, ORDER_FINALIZE);
}

/* The answer to newOrder was lost before its URL could be saved. */
static void
an_order_without_url_starts_anew(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", READY },
		END,
	};
	struct order o = new_order();

	(void)state;
	order_resume(&o);
	assert_false(o.resumed);
	ends_in(&o, lines, ORDER_FINALIZE);
}

/* Sending the CSR twice would earn orderNotReady, RFC 8555 section 7.4. */
static void
a_saved_order_is_not_finalized_twice(void **state)
{
	static const struct line valid[] = {
		{ "/o", NULL, VALID },
		{ "/c", NULL, PEM },
		END,
	};
	static const struct line processing[] = {
		{ "/o", NULL, PROCESSING },
		{ "/o", NULL, VALID },
		{ "/c", NULL, PEM },
		END,
	};
	static const enum order_state at[] = { ORDER_POLL, ORDER_FINALIZE,
		ORDER_DOWNLOAD };

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct order o = saved_order(at[i]);

		ends_in(&o, valid, ORDER_DONE);
		o = saved_order(at[i]);
		ends_in(&o, processing, ORDER_DONE);
	}
}

static void
a_saved_csr_is_used_again(void **state)
{
	static const struct line lines[] = {
		{ "/o", NULL, READY },
		{ "/f", NULL, VALID },
		END,
	};
	struct order o = saved_order(ORDER_FINALIZE);

	(void)state;
	o.csr = xstrdup("the one whose key was saved");
	ends_in(&o, lines, ORDER_DOWNLOAD);
}

/* Orders live a day or a week; we may be away for longer. */
static void
an_order_that_expired_while_away_is_made_again(void **state)
{
	static const struct line lines[] = {
		{ "/o", NULL, ORDER("invalid", "") },
		{ "newOrder", "/o2", PENDING },
		{ "/a", NULL, AUTHZ("valid", "valid") },
		{ KEY, NULL, NULL },
		{ "/f", NULL, ORDER("invalid", "") },
		END,
	};
	struct order o = saved_order(ORDER_AUTHZ);

	(void)state;
	fails_with(&o, lines, ERR_REFUSED,
	    "CA refused the order for a.test: the CA does not say why");
}

static void
polling_slows_down_and_retry_after_decides(void **state)
{
	static const int64_t pauses[] = { 250, 500, 1000, 2000, 3000, 3000 };
	struct order o = new_order();
	struct reply r = { .status = 200, .location = "", .text = "" };
	struct err e = { 0 };
	struct ask ask;

	(void)state;
	o.state = ORDER_ANSWER;
	o.nauthz = 1;
	o.authz[0].url = xstrdup("/a");
	o.url = xstrdup("/o");
	o.finalize = xstrdup("/f");
	o.csr = xstrdup("csr");
	r.body = json_pack("{s:s}", "status", "pending");
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		assert_int_equal(order_got(&o, &r, &e), 0);
		assert_int_equal(o.state, ORDER_CHECK);
		assert_int_equal(order_ask(&o, &ask, &e), 0);
		assert_int_equal(ask.delay_ms, pauses[i]);
	}
	r.retry_ms = 7000;
	assert_int_equal(order_got(&o, &r, &e), 0);
	assert_int_equal(order_ask(&o, &ask, &e), 0);
	assert_int_equal(ask.delay_ms, 7000);

	/* What the CA said of the authorization says nothing of the order. */
	json_object_set_new(r.body, "status", json_string("valid"));
	assert_int_equal(order_got(&o, &r, &e), 0);
	assert_int_equal(order_ask(&o, &ask, &e), 0);
	assert_string_equal(ask.url, "/f");
	assert_int_equal(ask.delay_ms, 0);
	json_decref(ask.payload);
	json_decref(r.body);
	order_clear(&o);
}

#define FAILED(type, detail)                                                \
	"{\"status\":\"invalid\",\"identifier\":{\"type\":\"dns\","         \
	"\"value\":\"a.test\"},\"challenges\":[{\"type\":\"dns-01\"},"      \
	"{\"type\":\"http-01\",\"status\":\"invalid\",\"error\":{\"type\":" \
	"\"urn:ietf:params:acme:error:" type "\",\"detail\":\"" detail      \
	"\"}}]}"

static void
a_failed_challenge_says_why_in_the_cas_words(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL, AUTHZ("pending", "pending") },
		{ PUBLISH, NULL, NULL },
		{ "/h", NULL, "{}" },
		{ "/a", NULL,
		    FAILED("unauthorized",
			"192.0.2.1: \\u001b[31mInvalid response: 404") },
		END,
	};
	struct order o = new_order();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(play(&o, lines, &e), 4);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_string_equal(e.type, "unauthorized");
	assert_string_equal(e.text,
	    "CA could not validate a.test: 192.0.2.1: \\x1b[31mInvalid "
	    "response: 404");
	order_clear(&o);
}

static void
a_failure_from_far_away_hints_at_firewalls(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL,
		    FAILED("connection",
			"During secondary validation: 192.0.2.1: Timeout") },
		END,
	};
	struct order o = new_order();

	(void)state;
	fails_with(&o, lines, ERR_REFUSED,
	    "CA could not validate a.test from everywhere (a firewall by "
	    "country, or name servers that disagree?): During secondary "
	    "validation: 192.0.2.1: Timeout");
}

static void
an_invalid_order_is_the_owners_to_cure(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", READY },
		{ KEY, NULL, NULL },
		{ "/f", NULL,
		    ORDER("invalid",
			",\"error\":{\"type\":\"urn:ietf:params:acme:error:"
			"caa\",\"detail\":\"CAA record for a.test prevents "
			"issuance\"}") },
		END,
	};
	struct order o = new_order();

	(void)state;
	fails_with(&o, lines, ERR_REFUSED,
	    "CA refused the order for a.test: CAA record for a.test prevents "
	    "issuance");
}

/* An authorization of *.a.test or a.test, with what is different in it. */
#define BY_DNS(status, url, more)                                             \
	"{\"status\":\"" status                                               \
	"\",\"identifier\":{\"value\":\"a.test\"}" more                       \
	",\"challenges\":[{\"type\":\"http-01\",\"url\":\"/"                  \
	"http\",\"token\":\"" TOKEN "\"},{\"type\":\"dns-01\",\"url\":\"" url \
	"\",\"token\":\"" TOKEN "\"}]}"
#define WILD ",\"wildcard\":true"

static void
a_wildcard_is_proven_by_dns(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL, BY_DNS("pending", "/d", WILD) },
		{ PUBLISH, NULL, NULL },
		{ "/d", NULL, "{}" },
		{ "/a", NULL, BY_DNS("valid", "/d", WILD) },
		END,
	};
	struct order o = { .names = { "*.a.test" }, .nnames = 1 };

	(void)state;
	ends_in(&o, lines, ORDER_FINALIZE);
}

/* Both TXT records have one name: they are there before either is answered. */
static void
a_wildcard_and_its_base_are_presented_together(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o",
		    ORDER("pending", ",\"authorizations\":[\"/1\",\"/2\"]") },
		{ "/1", NULL, BY_DNS("pending", "/d1", "") },
		{ "/2", NULL, BY_DNS("pending", "/d2", WILD) },
		{ PUBLISH, NULL, NULL },
		{ "/d1", NULL, "{}" },
		{ "/1", NULL, BY_DNS("valid", "/d1", "") },
		{ "/d2", NULL, "{}" },
		{ "/2", NULL, BY_DNS("valid", "/d2", WILD) },
		END,
	};
	struct order o = { .names = { "*.a.test", "a.test" }, .nnames = 2 };

	(void)state;
	ends_in(&o, lines, ORDER_FINALIZE);
}

static void
a_base_that_is_valid_already_needs_no_record(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o",
		    ORDER("pending", ",\"authorizations\":[\"/1\",\"/2\"]") },
		{ "/1", NULL, BY_DNS("valid", "/d1", "") },
		{ "/2", NULL, BY_DNS("pending", "/d2", WILD) },
		END,
	};
	struct order o = { .names = { "*.a.test", "a.test" }, .nnames = 2 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(play(&o, lines, &e), 3);
	assert_int_equal(o.state, ORDER_PRESENT);
	assert_string_equal(order_authz(&o)->name, "*.a.test");
	order_clear(&o);
}

#define PERSIST(more)                                                        \
	"{\"status\":\"pending\",\"identifier\":{\"value\":\"a.test\"}" WILD \
	",\"challenges\":[{\"type\":\"dns-01\",\"url\":\"/"                  \
	"d\",\"token\":\"" TOKEN                                             \
	"\"},{\"type\":\"dns-persist-01\",\"url\":\"/p\"" more "}]}"
#define ISSUERS ",\"issuer-domain-names\":[\"ca.test\",\"other.test\"]"

static struct order
wildcard_order(const char *account)
{
	return (struct order){
		.names = { "*.a.test" }, .nnames = 1, .account = account
	};
}

static void
a_record_that_stays_is_used_when_somebody_wants_it(void **state)
{
	static const struct line first[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL, PERSIST(ISSUERS) },
		END,
	};
	static const struct line rest[] = {
		{ PUBLISH, NULL, NULL },
		{ "/p", NULL, "{}" },
		{ "/a", NULL, BY_DNS("valid", "/d", WILD) },
		END,
	};
	struct order o = wildcard_order("https://ca.test/acct/1");
	struct err e = { 0 };

	(void)state;
	assert_int_equal(play(&o, first, &e), 2);
	assert_true(order_can_persist(&o));
	assert_string_equal(order_authz(&o)->persist,
	    "ca.test; accounturi=https://ca.test/acct/1; policy=wildcard");
	order_persist(&o);
	ends_in(&o, rest, ORDER_FINALIZE);
}

/* What the CA says of our account goes before what we know of it. */
static void
what_such_a_record_says_is_taken_from_the_challenge(void **state)
{
	static const struct {
		const char *account, *authz, *persist;
	} cases[] = {
		{ "https://ca.test/acct/1",
		    PERSIST(
			ISSUERS ",\"accounturi\":\"https://ca.test/a?b=1\""),
		    "ca.test; accounturi=https://ca.test/a?b=1; "
		    "policy=wildcard" },
		/* Not wanted, not known, not offered, not fit to be shown. */
		{ NULL, PERSIST(ISSUERS), "" },
		{ "", PERSIST(ISSUERS), "" },
		{ "https://ca.test/acct/1", PERSIST(""), "" },
		{ "https://ca.test/acct/1", BY_DNS("pending", "/d", WILD), "" },
		{ "https://ca.test/acct/1",
		    PERSIST(",\"issuer-domain-names\":[\"a; b=c\"]"), "" },
		{ "https://ca.test/acct/1",
		    PERSIST(ISSUERS ",\"accounturi\":\"https://a;b\""), "" },
		{ "https://ca.test/acct/1",
		    PERSIST(ISSUERS ",\"accounturi\":\"a \\\" b\""), "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct line lines[] = {
			{ "newOrder", "/o", PENDING },
			{ "/a", NULL, cases[i].authz },
			END,
		};
		struct order o = wildcard_order(cases[i].account);
		struct err e = { 0 };

		assert_int_equal(play(&o, lines, &e), 2);
		assert_string_equal(order_authz(&o)->persist != NULL
					? order_authz(&o)->persist
					: "",
		    cases[i].persist);
		assert_int_equal(
		    order_can_persist(&o), cases[i].persist[0] != '\0');
		order_clear(&o);
	}
}

/* A person has so long to make the record. */
static void
the_earliest_end_of_what_is_pending_is_remembered(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o",
		    ORDER("pending", ",\"authorizations\":[\"/a\"],\"expires\":"
				     "\"2026-11-30T00:00:00Z\"") },
		{ "/a", NULL,
		    BY_DNS("pending", "/d",
			WILD ",\"expires\":\"2026-11-25T00:00:00Z\"") },
		END,
	};
	struct order o = { .names = { "*.a.test" }, .nnames = 1 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(play(&o, lines, &e), 2);
	assert_true(o.expires == INT64_C(1795564800000));
	order_clear(&o);
}

static void
a_wildcard_cannot_be_had_by_http(void **state)
{
	static const struct line lines[] = {
		{ "newOrder", "/o", PENDING },
		{ "/a", NULL,
		    "{\"status\":\"pending\",\"wildcard\":true,\"identifier\":"
		    "{\"value\":\"a.test\"},\"challenges\":[{\"type\":"
		    "\"http-01\",\"url\":\"/d\",\"token\":\"" TOKEN "\"}]}" },
		END,
	};
	struct order o = { .names = { "*.a.test" }, .nnames = 1 };

	(void)state;
	fails_with(&o, lines, ERR_REFUSED,
	    "CA offers no dns-01 challenge for *.a.test");
}

/* What a CA should never say, line by line. */
static void
nonsense_is_a_bug_and_not_believed(void **state)
{
	static const struct {
		struct line last;
		const char *text;
	} cases[] = {
		{ { "newOrder", NULL, PENDING },
		    "order, new: no Location in the reply" },
		{ { "newOrder", "/o", "not JSON" },
		    "order, new: no usable finalize URL in the reply" },
		{ { "newOrder", "/o", "{\"finalize\":\"/f\"}" },
		    "order, new: this is not an order object: its status is "
		    "none" },
		{ { "newOrder", "/o", ORDER("pending", "") },
		    "order, new: order is pending without authorizations" },
		{ { "newOrder", "/o",
		      ORDER("pending", ",\"authorizations\":[\"/1\",\"/2\"]") },
		    "order, new: 2 authorizations for 1 names; one each was "
		    "expected" },
		{ { "newOrder", "/o",
		      ORDER("pending", ",\"authorizations\":[{}]") },
		    "order, new: no usable authorization URL in the reply" },
		{ { "newOrder", "/o",
		      ORDER("ready", ",\"identifiers\":[{\"type\":\"dns\","
				     "\"value\":\"evil.test\"}]") },
		    "order, new: CA made an order for a name nobody asked "
		    "for" },
		{ { "newOrder", "/o", ORDER("valid", ",\"certificate\":7") },
		    "order, new: no usable certificate URL in the reply" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line lines[] = { cases[i].last, END };
		struct order o = new_order();

		fails_with(&o, lines, ERR_BUG, cases[i].text);
	}
}

static void
authorizations_that_are_none_are_refused(void **state)
{
	static const struct {
		const char *authz, *text;
	} cases[] = {
		{ "", "order, authz: this is not an authorization object" },
		{ AUTHZ_OF("evil.test", "pending", "pending"),
		    "order, authz: CA wants an authorization for a name "
		    "nobody asked for" },
		{ AUTHZ("expired", "pending"),
		    "order, authz: authorization is \"expired\"; it should be "
		    "pending or valid" },
		{ "{\"status\":\"pending\",\"identifier\":{\"value\":"
		  "\"a.test\"},\"challenges\":[{\"type\":\"http-01\","
		  "\"url\":\"/h\",\"token\":\"../../../etc/passwd-passwd\"}]}",
		    "order, authz: token of the challenge is not 22 to 128 "
		    "characters of base64url" },
		{ "{\"status\":\"pending\",\"identifier\":{\"value\":"
		  "\"a.test\"},\"challenges\":[{\"type\":\"http-01\","
		  "\"url\":\"/h\",\"token\":\"short\"}]}",
		    "order, authz: token of the challenge is not 22 to 128 "
		    "characters of base64url" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line lines[] = {
			{ "newOrder", "/o", PENDING },
			{ "/a", NULL, cases[i].authz },
			END,
		};
		struct order o = new_order();

		fails_with(&o, lines, ERR_BUG, cases[i].text);
	}
}

static void
a_certificate_must_be_there_and_be_pem(void **state)
{
	static const struct line missing[] = {
		{ "newOrder", "/o", ORDER("valid", "") },
		{ "/c", NULL, NULL },
		END,
	};
	static const struct line html[] = {
		{ "newOrder", "/o", VALID },
		{ "/c", NULL, "<html>" },
		END,
	};
	struct order o = new_order();

	(void)state;
	fails_with(&o, missing, ERR_BUG,
	    "order, download: valid order without certificate");
	o = new_order();
	fails_with(
	    &o, html, ERR_BUG, "order, download: certificate is not PEM");
}

static void
a_chain_that_is_no_good_is_asked_for_again(void **state)
{
	static const struct line first[] = {
		{ "newOrder", "/o", VALID },
		{ "/c", NULL, "-----BEGIN CERTIFICATE-----\nbad" },
		END,
	};
	static const struct line again[] = {
		{ "/c", NULL, "-----BEGIN CERTIFICATE-----\ngood" },
		END,
	};
	struct order o = new_order();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(play(&o, first, &e), 2);
	assert_int_equal(o.state, ORDER_DONE);
	order_refetch(&o);
	assert_null(o.chain);
	assert_int_equal(play(&o, again, &e), 1);
	assert_string_equal(o.chain, again[0].body);
	order_clear(&o);
}

/* What was asked of newOrder, beside the names. */
static void
asks_new(struct order *o, const char *replaces, const char *profile)
{
	struct err e = { 0 };
	const char *text;
	struct ask ask;

	assert_int_equal(order_ask(o, &ask, &e), 0);
	assert_string_equal(ask.url, "newOrder");
	text = json_string_value(json_object_get(ask.payload, "replaces"));
	if (replaces == NULL)
		assert_null(text);
	else
		assert_string_equal(text, replaces);
	text = json_string_value(json_object_get(ask.payload, "profile"));
	if (profile == NULL)
		assert_null(text);
	else
		assert_string_equal(text, profile);
	json_decref(ask.payload);
}

static void
set_type(struct err *e, const char *type)
{
	assert_true(strlen(type) < sizeof(e->type));
	memcpy(e->type, type, strlen(type) + 1);
}

static void
a_refused_replacement_is_asked_for_once_more_without_it(void **state)
{
	static const char *const types[] = { "alreadyReplaced", "malformed",
		"notFound", "unauthorized", "conflict" };
	static const struct line rest[] = {
		{ "newOrder", "/o", READY },
		END,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct order o = new_order();
		struct err e = { .kind = ERR_AGAIN };

		o.replaces = "aki.serial";
		o.profile = "shortlived";
		o.ari_renewal = true;
		asks_new(&o, "aki.serial", "shortlived");
		set_type(&e, types[i]);
		assert_true(order_refused(&o, &e));
		assert_false(o.ari_renewal);
		asks_new(&o, NULL, "shortlived");
		assert_false(order_refused(&o, &e));
		ends_in(&o, rest, ORDER_FINALIZE);
	}
}

static void
a_replacement_is_not_given_up_for_other_reasons(void **state)
{
	static const char *const types[] = { "rateLimited", "serverInternal",
		"rejectedIdentifier", "badNonce", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct order o = new_order();
		struct err e = { .kind = ERR_AGAIN };

		o.replaces = "aki.serial";
		set_type(&e, types[i]);
		assert_false(order_refused(&o, &e));
		asks_new(&o, "aki.serial", NULL);
		order_clear(&o);
	}
}

/* Chains whose topmost is issued by the name given; made on the spot. */
static char *
chain_of(const char *name)
{
	struct certs_pair c = certs_pair(name, NULL);
	BIO *bio = BIO_new(BIO_s_mem());
	char *p, *pem;
	long len;

	PEM_write_bio_X509(bio, c.cert);
	len = BIO_get_mem_data(bio, &p);
	pem = xmemdup0(p, (size_t)len);
	BIO_free(bio);
	certs_pair_clear(&c);
	return pem;
}

/* Take chains, the first with links to /c1 and /c2, until the order is done. */
static size_t
takes_chains(struct order *o, const char *const *pem, size_t n)
{
	struct err e = { 0 };
	struct ask ask;
	size_t i;

	for (i = 0; i < n && o->state == ORDER_DOWNLOAD; i++) {
		char url[8];
		struct reply r = { .status = 200,
			.location = "",
			.text = pem[i],
			.len = strlen(pem[i]),
			.link = i == 0 ? "</c1>;rel=\"alternate\", "
			                 "</c2>;rel=\"alternate\""
			               : "" };

		assert_int_equal(order_ask(o, &ask, &e), 0);
		snprintf(url, sizeof(url), i == 0 ? "/c" : "/c%zu", i);
		assert_string_equal(ask.url, url);
		assert_int_equal(order_got(o, &r, &e), 0);
	}
	return i;
}

static void
the_preferred_chain_is_taken_where_it_is_offered(void **state)
{
	char *a = chain_of("Root A"), *b = chain_of("Root B");
	char *c = chain_of("Root C");
	const char *const pem[] = { a, b, c };
	static const struct {
		const char *preferred;
		size_t asked, kept;
	} cases[] = { { NULL, 1, 0 }, { "Root A", 1, 0 }, { "Root B", 2, 1 },
		{ "Root C", 3, 2 }, { "Root D", 3, 0 }, { "Root", 3, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct order o = new_order();

		o.state = ORDER_DOWNLOAD;
		o.certificate = xstrdup("/c");
		o.preferred = cases[i].preferred;
		assert_int_equal(takes_chains(&o, pem, 3), cases[i].asked);
		assert_int_equal(o.state, ORDER_DONE);
		assert_string_equal(o.chain, pem[cases[i].kept]);
		order_clear(&o);
	}
	free(a);
	free(b);
	free(c);
}

static void
a_chain_that_cannot_be_had_is_done_without(void **state)
{
	struct order o = new_order();
	struct err gone = { .kind = ERR_BUG }, away = { .kind = ERR_AGAIN };
	char *a = chain_of("Root A");
	const char *const pem[] = { a };

	(void)state;
	o.state = ORDER_DOWNLOAD;
	o.certificate = xstrdup("/c");
	o.preferred = "Root B";
	assert_false(order_refused(&o, &gone));
	assert_int_equal(takes_chains(&o, pem, 1), 1);
	assert_int_equal(o.state, ORDER_DOWNLOAD);
	assert_false(order_refused(&o, &away));
	assert_true(order_refused(&o, &gone));
	assert_int_equal(o.state, ORDER_DONE);
	assert_string_equal(o.chain, a);
	order_clear(&o);
	free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_usual_dialogue),
		cmocka_unit_test(two_names_are_two_authorizations),
		cmocka_unit_test(what_is_published_is_the_current_token),
		cmocka_unit_test(a_recycled_order_needs_no_challenge),
		cmocka_unit_test(a_valid_authorization_is_skipped),
		cmocka_unit_test(
		    a_ca_that_needs_time_after_the_authorization_gets_it),
		cmocka_unit_test(a_ready_order_goes_straight_to_finalize),
		cmocka_unit_test(a_saved_order_learns_its_authorizations_again),
		cmocka_unit_test(
		    a_challenge_in_progress_is_published_but_not_answered_again),
		cmocka_unit_test(an_order_without_url_starts_anew),
		cmocka_unit_test(a_saved_order_is_not_finalized_twice),
		cmocka_unit_test(a_saved_csr_is_used_again),
		cmocka_unit_test(
		    an_order_that_expired_while_away_is_made_again),
		cmocka_unit_test(polling_slows_down_and_retry_after_decides),
		cmocka_unit_test(a_failed_challenge_says_why_in_the_cas_words),
		cmocka_unit_test(a_failure_from_far_away_hints_at_firewalls),
		cmocka_unit_test(an_invalid_order_is_the_owners_to_cure),
		cmocka_unit_test(a_wildcard_is_proven_by_dns),
		cmocka_unit_test(
		    a_wildcard_and_its_base_are_presented_together),
		cmocka_unit_test(a_base_that_is_valid_already_needs_no_record),
		cmocka_unit_test(
		    a_record_that_stays_is_used_when_somebody_wants_it),
		cmocka_unit_test(
		    what_such_a_record_says_is_taken_from_the_challenge),
		cmocka_unit_test(
		    the_earliest_end_of_what_is_pending_is_remembered),
		cmocka_unit_test(a_wildcard_cannot_be_had_by_http),
		cmocka_unit_test(nonsense_is_a_bug_and_not_believed),
		cmocka_unit_test(authorizations_that_are_none_are_refused),
		cmocka_unit_test(a_certificate_must_be_there_and_be_pem),
		cmocka_unit_test(a_chain_that_is_no_good_is_asked_for_again),
		cmocka_unit_test(
		    a_refused_replacement_is_asked_for_once_more_without_it),
		cmocka_unit_test(
		    a_replacement_is_not_given_up_for_other_reasons),
		cmocka_unit_test(
		    the_preferred_chain_is_taken_where_it_is_offered),
		cmocka_unit_test(a_chain_that_cannot_be_had_is_done_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
