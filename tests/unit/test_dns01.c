/*
 * TXT records are made, seen and removed: with a provider, name servers and a
 * Redis that do as a test says and write down, in order, what they were asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/buf.h"
#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/accesses.h"
#include "sync/authority.h"
#include "sync/dialogue.h"
#include "sync/dns01.h"
#include "sync/store_txt.h"
#include "sync/visible.h"

#define WAIT_MS 3000

/* What is called back in the next turn of the loop. */
struct later {
	struct event *timer;
	void (*run)(struct later *);
	void *fn, *arg;
	struct txt_record *rec;
};

static struct world {
	struct event_base *base;
	struct buf log;
	struct provider provider;
	struct provider_access access;
	bool by_hand;
	struct provider_access old; /* of the variables that were unset */
	int opened;
	struct err create_fails;
	const char *no_zone; /* the account has none for this name */
	int blind;           /* so many looks do not show it */
	const char *order;   /* step of the domain's journal */
	const char *left;    /* what the journal of records has, JSON */
	struct dns01 *dns01;
	struct conf conf;
	int told;
	struct err err;
} w;

static void
fire(void *arg)
{
	struct later *l = arg;

	loop_timer_free(&l->timer);
	l->run(l);
	free(l);
}

static struct later *
soon(void (*run)(struct later *), void *fn, void *arg)
{
	struct later *l = xcalloc(1, sizeof(*l));

	l->run = run;
	l->fn = fn;
	l->arg = arg;
	loop_after(w.base, &l->timer, 0, fire, l);
	return l;
}

/* --- who is asked ---------------------------------------------------------------- */

static void
run_access(struct later *l)
{
	access_fn *fn = (access_fn *)l->fn;

	fn(l->arg, w.by_hand ? NULL : (struct access *)&w.access, NULL);
}

void
access_get(struct accesses *all, const char *app, access_fn *fn, void *arg)
{
	(void)all;
	assert_string_equal(app, "shop");
	soon(run_access, (void *)fn, arg);
}

void
access_cancel(struct accesses *all, const void *arg)
{
	(void)all, (void)arg;
}

void
access_release(struct access *a)
{
	(void)a;
}

char *
access_sealed(const struct access *a)
{
	(void)a;
	return xstrdup("c2VhbGVk");
}

struct access *
access_open(
    struct accesses *all, const char *app, const char *sealed, struct err *e)
{
	(void)all, (void)e;
	assert_string_equal(app, "shop");
	assert_string_equal(sealed, "c2VhbGVk");
	w.opened++;
	return (struct access *)&w.old;
}

struct provider_access *
access_of(struct access *a)
{
	return (struct provider_access *)(void *)a;
}

static void
run_look(struct later *l)
{
	authority_fn *fn = (authority_fn *)l->fn;
	struct authority_answer a = { .result = RESOLVE_OK,
		.name = "challenge.elsewhere.test",
		.zone = "elsewhere.test" };

	buf_puts(&w.log, "look ");
	fn(l->arg, &a);
}

uint64_t
authority_look(
    struct authorities *all, const char *fqdn, authority_fn *fn, void *arg)
{
	(void)all;
	assert_string_equal(fqdn, "_acme-challenge.shop.test");
	soon(run_look, (void *)fn, arg);
	return 1;
}

void
authority_cancel(struct authorities *all, uint64_t id)
{
	(void)all, (void)id;
}

int
visible(const struct authority_answer *a, char *const value[], size_t n,
    char *why, size_t size)
{
	(void)a, (void)value, (void)n;
	if (w.blind <= 0)
		return 1;
	w.blind--;
	snprintf(why, size, "ns1 does not have it yet");
	return 0;
}

static void
run_dialogue(struct later *l)
{
	dialogue_fn *fn = (dialogue_fn *)l->fn;
	bool fails =
	    l->rec->op == PROVIDER_CREATE && w.create_fails.kind != ERR_NONE;

	buf_putf(&w.log, "%s(%s %s) ",
	    l->rec->op == PROVIDER_CREATE ? "create" : "remove", l->rec->fqdn,
	    l->rec->value);
	if (w.no_zone != NULL && (strcmp(w.no_zone, "*") == 0 ||
				     strcmp(w.no_zone, l->rec->fqdn) == 0)) {
		struct err e;

		err_set(&e, ERR_REFUSED, "no zone for %s", l->rec->fqdn);
		fn(l->arg, l->rec, &e);
		return;
	}
	if (l->rec->op == PROVIDER_REMOVE)
		assert_string_equal(l->rec->zone_id, "Z1");
	else if (w.no_zone == NULL)
		assert_string_equal(l->rec->soa_zone, "elsewhere.test");
	snprintf(l->rec->zone, sizeof(l->rec->zone), "elsewhere.test");
	snprintf(l->rec->zone_id, sizeof(l->rec->zone_id), "Z1");
	fn(l->arg, l->rec, fails ? &w.create_fails : NULL);
}

uint64_t
dialogue_run(struct dialogues *all, struct txt_record *rec, enum provider_op op,
    dialogue_fn *fn, void *arg)
{
	(void)all;
	rec->op = op;
	soon(run_dialogue, (void *)fn, arg)->rec = rec;
	return 7;
}

void
dialogue_cancel(struct dialogues *all, uint64_t id)
{
	(void)all, (void)id;
}

static void
run_put(struct later *l)
{
	store_fn *fn = (store_fn *)l->fn;

	fn(l->arg, NULL);
}

void
store_txt_put(struct store *s, const struct txt *t, store_fn *fn, void *arg)
{
	(void)s;
	buf_putf(&w.log, "journal(%s%s) ", t->value,
	    t->zone_id[0] != '\0' ? " Z1" : "");
	if (fn != NULL)
		soon(run_put, (void *)fn, arg);
}

void
store_txt_drop(struct store *s, const struct txt *t, store_fn *fn, void *arg)
{
	(void)s;
	buf_putf(&w.log, "drop(%s) ", t->value);
	w.left = NULL;
	soon(run_put, (void *)fn, arg);
}

static void
run_txts(struct later *l)
{
	store_names_fn *fn = (store_names_fn *)l->fn;

	fn(l->arg, &w.left, w.left != NULL, NULL);
}

void
store_txts(struct store *s, store_names_fn *fn, void *arg)
{
	(void)s;
	soon(run_txts, (void *)fn, arg);
}

static void
run_order(struct later *l)
{
	store_order_fn *fn = (store_order_fn *)l->fn;
	char step[16];
	struct store_order o = { .step = step };

	snprintf(step, sizeof(step), "%s", w.order);
	fn(l->arg, &o, NULL);
}

void
store_order(struct store *s, const char *name, store_order_fn *fn, void *arg)
{
	(void)s;
	assert_string_equal(name, "*.shop.test");
	soon(run_order, (void *)fn, arg);
}

void
store_forget(struct store *s, const void *arg)
{
	(void)s, (void)arg;
}

/* --- the tests ----------------------------------------------------------------------- */

static int
setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.base = loop_new();
	w.order = "ordered";
	w.provider =
	    (struct provider){ .name = "ovh", .poll_ms = 10, .limit_ms = 200 };
	w.access.provider = &w.provider;
	w.old.provider = &w.provider;
	w.conf.dns.record_interval_ms = 50;
	buf_init(&w.log, 4096);
	w.dns01 = dns01_new(w.base, &w.conf, NULL, NULL, NULL, NULL);
	return 0;
}

static void
turns(int ms)
{
	int64_t deadline = loop_now_ms() + ms;

	while (loop_now_ms() < deadline)
		event_base_loop(w.base, EVLOOP_NONBLOCK);
}

static int
teardown(void **state)
{
	(void)state;
	turns(20); /* whoever is to be called back is */
	dns01_free(w.dns01);
	buf_clear(&w.log);
	event_base_free(w.base);
	return 0;
}

static void
told(void *arg, const struct err *e)
{
	(void)arg;
	buf_puts(&w.log, "told ");
	w.told++;
	if (e != NULL)
		w.err = *e;
}

static struct domain
shop(const char *values)
{
	struct domain d;

	domain_init(&d);
	snprintf(d.name, sizeof(d.name), "*.shop.test");
	snprintf(d.app, sizeof(d.app), "shop");
	snprintf(d.acme_dns_fqdn, sizeof(d.acme_dns_fqdn),
	    "_acme-challenge.shop.test");
	snprintf(d.acme_dns_value, sizeof(d.acme_dns_value), "%s", values);
	return d;
}

/* Until the log ends so. */
static void
await(const char *end)
{
	int64_t deadline = loop_now_ms() + WAIT_MS;
	size_t n = strlen(end);

	while (w.log.len < n || strcmp(w.log.p + w.log.len - n, end) != 0) {
		if (loop_now_ms() > deadline)
			fail_msg("\"%s\" does not end in \"%s\"", w.log.p, end);
		event_base_loop(w.base, EVLOOP_ONCE);
	}
}

static void
a_record_is_journalled_made_and_seen_before_anybody_is_told(void **state)
{
	struct domain d = shop("V");

	(void)state;
	w.blind = 3;
	dns01_present(w.dns01, &d, told, NULL);
	assert_int_equal(w.told, 0);
	await("told ");
	assert_string_equal(w.log.p,
	    "look journal(V) create(challenge.elsewhere.test V) journal(V Z1) "
	    "look look look told ");
	assert_int_equal(w.err.kind, ERR_NONE);
	dns01_withdraw(w.dns01, "*.shop.test");
	await("remove(challenge.elsewhere.test V) drop(V) ");
}

static void
two_values_are_made_side_by_side(void **state)
{
	struct domain d = shop("V1 V2");

	(void)state;
	w.blind = 1;
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	assert_non_null(
	    strstr(w.log.p, "create(challenge.elsewhere.test V1) "));
	assert_non_null(
	    strstr(w.log.p, "create(challenge.elsewhere.test V2) "));
	assert_null(strstr(w.log.p, "remove"));
}

static void
by_hand_nothing_is_made_and_what_is_missing_is_said(void **state)
{
	struct domain d = shop("V");

	(void)state;
	w.by_hand = true;
	w.blind = 1;
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	assert_string_equal(w.log.p, "look told ");
	assert_string_equal(w.err.type, DNS01_BY_HAND);
	assert_string_equal(w.err.text, "ns1 does not have it yet");
	w.err = (struct err){ 0 };
	dns01_look(w.dns01, &d, told, NULL);
	await("look told look told ");
	assert_int_equal(w.err.kind, ERR_NONE);
	/* With a provider there is nothing to look for. */
	w.by_hand = false;
	w.blind = 1;
	dns01_look(w.dns01, &d, told, NULL);
	await("look told told ");
}

static void
what_the_provider_says_is_passed_on_and_the_entry_stays(void **state)
{
	struct domain d = shop("V");

	(void)state;
	w.blind = 1;
	err_set(&w.create_fails, ERR_CONFIG, "ovh: wrong key");
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	assert_string_equal(w.err.text, "ovh: wrong key");
	assert_null(strstr(w.log.p, "drop"));
}

/* *.shop.test CNAME ingress.elsewhere.test: the TXT record ends that. */
static void
where_a_cname_leads_out_of_the_account_it_is_made_at_home(void **state)
{
	struct domain d = shop("V1 V2");

	(void)state;
	w.blind = 1;
	w.no_zone = "challenge.elsewhere.test";
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	turns(20);
	assert_int_equal(w.err.kind, ERR_NONE);
	assert_non_null(strstr(
	    w.log.p, "create(challenge.elsewhere.test V1) journal(V1) "));
	assert_non_null(
	    strstr(w.log.p, "create(_acme-challenge.shop.test V1) "));
	assert_non_null(
	    strstr(w.log.p, "create(_acme-challenge.shop.test V2) "));
	/* Nothing was made there, so nothing has to be removed. */
	assert_non_null(strstr(w.log.p, "drop(V1) "));
	assert_null(strstr(w.log.p, "remove"));
	dns01_withdraw(w.dns01, "*.shop.test");
	turns(50);
	assert_non_null(
	    strstr(w.log.p, "remove(_acme-challenge.shop.test V1) "));
	assert_null(strstr(w.log.p, "remove(challenge"));
}

static void
an_account_that_has_neither_zone_is_told_both_and_owes_nothing(void **state)
{
	struct domain d = shop("V");

	(void)state;
	w.blind = 1;
	w.no_zone = "*";
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	turns(20);
	assert_int_equal(w.err.kind, ERR_REFUSED);
	assert_string_equal(w.err.text,
	    "no zone for challenge.elsewhere.test; nor without the CNAME: "
	    "no zone for _acme-challenge.shop.test");
	dns01_withdraw(w.dns01, "*.shop.test");
	turns(50);
	assert_null(strstr(w.log.p, "remove"));
}

static void
a_record_that_is_not_seen_is_given_up_in_time(void **state)
{
	struct domain d = shop("V");

	(void)state;
	w.blind = 1 << 20;
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_string_equal(w.err.text,
	    "made by ovh, but not seen within 0 s: ns1 does not have it yet");
}

static void
a_new_value_takes_the_place_of_an_old_one(void **state)
{
	struct domain d = shop("OLD");

	(void)state;
	w.blind = 1;
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	d = shop("NEW");
	w.blind = 1;
	dns01_present(w.dns01, &d, told, NULL);
	turns(100);
	assert_int_equal(w.told, 2);
	assert_non_null(
	    strstr(w.log.p, "remove(challenge.elsewhere.test OLD) drop(OLD) "));
	assert_null(strstr(w.log.p, "drop(NEW)"));
}

#define LEFT                                                         \
	"{\"domain\":\"*.shop.test\",\"app\":\"shop\",\"provider\":" \
	"\"ovh\",\"fqdn\":\"challenge.elsewhere.test\",\"value\":"   \
	"\"V\",\"zone\":\"elsewhere.test\",\"zone_id\":\"Z1\","      \
	"\"record_id\":\"\",\"at\":1780000000000}"

#define LEFT_SEALED                                                  \
	"{\"domain\":\"*.shop.test\",\"app\":\"shop\",\"provider\":" \
	"\"ovh\",\"fqdn\":\"challenge.elsewhere.test\",\"value\":"   \
	"\"V\",\"zone\":\"elsewhere.test\",\"zone_id\":\"Z1\","      \
	"\"record_id\":\"\",\"at\":1780000000000,\"sealed\":"        \
	"\"c2VhbGVk\"}"

static void
what_a_leader_has_left_goes_when_no_order_needs_it(void **state)
{
	(void)state;
	w.left = LEFT;
	dns01_start(w.dns01);
	turns(200);
	assert_string_equal(w.log.len > 0 ? w.log.p : "", "");
	w.order = "";
	await("remove(challenge.elsewhere.test V) drop(V) ");
}

/* It was stopped in between, and has not heard yet that it leads no more. */
static void
what_a_leader_writes_when_it_leads_no_more_goes_too(void **state)
{
	(void)state;
	w.order = "";
	dns01_start(w.dns01);
	turns(20);
	w.left = LEFT;
	await("remove(challenge.elsewhere.test V) drop(V) ");
}

static void
an_order_that_goes_on_takes_over_what_was_left(void **state)
{
	struct domain d = shop("V");

	(void)state;
	w.left = LEFT;
	dns01_start(w.dns01);
	turns(20);
	dns01_present(w.dns01, &d, told, NULL);
	await("look told ");
	dns01_withdraw(w.dns01, "*.shop.test");
	await("remove(challenge.elsewhere.test V) drop(V) ");
}

/* The owner gives up on the provider while a record is there. */
static void
variables_that_were_unset_still_remove_what_they_made(void **state)
{
	struct domain d = shop("V");

	(void)state;
	w.blind = 1;
	dns01_present(w.dns01, &d, told, NULL);
	await("told ");
	w.by_hand = true;
	dns01_withdraw(w.dns01, "*.shop.test");
	await("remove(challenge.elsewhere.test V) drop(V) ");
	assert_int_equal(w.opened, 1);
}

static void
another_leader_has_them_from_the_journal(void **state)
{
	(void)state;
	w.left = LEFT_SEALED;
	w.order = "";
	w.by_hand = true;
	dns01_start(w.dns01);
	await("remove(challenge.elsewhere.test V) drop(V) ");
	assert_int_equal(w.opened, 1);
}

static void
a_name_may_be_too_long_for_a_record_below_it(void **state)
{
	char name[DOMAIN_NAME_MAX], fqdn[DOMAIN_NAME_MAX];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(dns01_fqdn(DNS01_PREFIX, "*.shop.test", fqdn, &e), 0);
	assert_string_equal(fqdn, "_acme-challenge.shop.test");
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(dns01_fqdn(DNS01_PREFIX, name, fqdn, &e), -1);
	assert_int_equal(e.kind, ERR_REFUSED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(
		    a_record_is_journalled_made_and_seen_before_anybody_is_told),
		TEST(two_values_are_made_side_by_side),
		TEST(by_hand_nothing_is_made_and_what_is_missing_is_said),
		TEST(what_the_provider_says_is_passed_on_and_the_entry_stays),
		TEST(where_a_cname_leads_out_of_the_account_it_is_made_at_home),
		TEST(
		    an_account_that_has_neither_zone_is_told_both_and_owes_nothing),
		TEST(a_record_that_is_not_seen_is_given_up_in_time),
		TEST(a_new_value_takes_the_place_of_an_old_one),
		TEST(what_a_leader_has_left_goes_when_no_order_needs_it),
		TEST(what_a_leader_writes_when_it_leads_no_more_goes_too),
		TEST(an_order_that_goes_on_takes_over_what_was_left),
		TEST(variables_that_were_unset_still_remove_what_they_made),
		TEST(another_leader_has_them_from_the_journal),
		TEST(a_name_may_be_too_long_for_a_record_below_it),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
