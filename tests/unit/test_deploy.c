#include "haproxy/deploy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OURS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OLD "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static const struct deploy_want want = { .name = "/r/a.pem",
	.list = "/r/list",
	.filter = "a.example",
	.sha1 = OURS };
static const struct deploy_want gone = {
	.name = "/r/a.pem", .list = "/r/list", .filter = "a.example", .sha1 = ""
};

static void
plan_is(const struct deploy_have *have, const struct deploy_want *w,
    const char *expected)
{
	static const char letter[] = "NSCAaeDs";
	struct deploy_plan p;
	char text[128] = "";
	size_t at;
	int i;

	deploy_plan(have, w, &p);
	for (i = 0; i < p.nsteps; i++) {
		at = strlen(text);
		text[at] = letter[p.step[i].op];
		if (p.step[i].op == DEPLOY_DEL_ENTRY)
			snprintf(text + at + 1, 8, "%d", p.step[i].line);
	}
	assert_string_equal(text, expected);
}

static struct deploy_have
having(const char *sha1)
{
	struct deploy_have h = { .store = true };

	memcpy(h.sha1, sha1, strlen(sha1) + 1);
	return h;
}

static void
only_what_is_missing_is_done(void **state)
{
	struct deploy_have h = { 0 };

	(void)state;
	plan_is(&h, &want, "NSCAas");
	plan_is(&h, &gone, "");
	h = having("");
	plan_is(&h, &want, "SCAas");
	plan_is(&h, &gone, "D");
	h = having(OURS);
	plan_is(&h, &want, "as");
	deploy_entry(&h, &want, 3, "a.example");
	plan_is(&h, &want, "");
	plan_is(&h, &gone, "e3D");
	h = having(OLD);
	deploy_entry(&h, &want, 3, "a.example");
	plan_is(&h, &want, "SCAs");
}

/* "add ssl crt-list" is not idempotent: what is there twice stays once. */
static void
duplicates_and_foreign_filters_are_removed_by_their_line(void **state)
{
	struct deploy_have h = having(OURS);
	int i;

	(void)state;
	deploy_entry(&h, &want, 1, "b.example");
	deploy_entry(&h, &want, 2, "a.example");
	deploy_entry(&h, &want, 3, "a.example");
	deploy_entry(&h, &want, 4, "");
	plan_is(&h, &want, "e1e3e4s");
	plan_is(&h, &gone, "e1e2e3e4D");
	h = having(OURS);
	deploy_entry(&h, &want, 9, "a.example *.example");
	plan_is(&h, &want, "ae9s");
	for (i = 0; i < 100; i++)
		deploy_entry(&h, &want, i + 1, "a.example");
	assert_int_equal(h.nentries, DEPLOY_ENTRIES_MAX);
}

static void
commands_stand_in_the_order_of_the_plan(void **state)
{
	struct deploy_have h = { 0 };
	struct deploy_plan p;
	struct err e = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	deploy_plan(&h, &want, &p);
	assert_int_equal(
	    deploy_commands(&p, &want, PEM, strlen(PEM), 16384, &out, &e), 0);
	assert_string_equal(out.p,
	    "new ssl cert /r/a.pem\n"
	    "set ssl cert /r/a.pem <<\n" PEM "\n"
	    "commit ssl cert /r/a.pem\n"
	    "abort ssl cert /r/a.pem\n"
	    "add ssl crt-list /r/list <<\n/r/a.pem a.example\n\n"
	    "show ssl cert /r/a.pem\n");
	buf_clear(&out);
}

static enum deploy_result
got(struct deploy_have *h, enum deploy_op op, int line, const char *text,
    struct err *e)
{
	struct deploy_step s = { op, line };
	char other[ANSWER_NAME_MAX];

	*e = (struct err){ 0 };
	return deploy_got(h, &want, &s, text, other, e);
}

static void
after_set_the_answer_must_be_exactly_ours(void **state)
{
	struct deploy_step set = { DEPLOY_SET, 0 };
	struct deploy_have h = having(OLD);
	char other[ANSWER_NAME_MAX];
	struct err e;

	(void)state;
	assert_int_equal(
	    got(&h, DEPLOY_SET, 0,
		"Transaction created for certificate /r/a.pem!", &e),
	    DEPLOY_OK);
	assert_string_equal(h.sha1, "");
	/* HAProxy 2.6: the PEM is in another certificate's transaction. */
	assert_int_equal(
	    deploy_got(&h, &want, &set,
		"Transaction updated for certificate /r/b.pem!", other, &e),
	    DEPLOY_MIXED);
	assert_string_equal(other, "/r/b.pem");
	assert_non_null(strstr(e.text, "/r/b.pem"));
	/* Even in one of our own name somebody else may have been first. */
	assert_int_equal(
	    deploy_got(&h, &want, &set,
		"Transaction updated for certificate /r/a.pem!", other, &e),
	    DEPLOY_MIXED);
	assert_int_equal(got(&h, DEPLOY_SET, 0,
			     "The ongoing transaction is about '/r/b.pem' but "
			     "you are trying to set '/r/a.pem'",
			     &e),
	    DEPLOY_BUSY);
	assert_int_equal(got(&h, DEPLOY_SET, 0,
			     "Operations on certificates are currently "
			     "locked!\nCan't update /r/a.pem!",
			     &e),
	    DEPLOY_LOCKED);
	assert_int_equal(got(&h, DEPLOY_SET, 0, "", &e), DEPLOY_REFUSED);
	assert_non_null(strstr(e.text, "tune.bufsize"));
}

static void
answers_about_another_certificate_are_no_success(void **state)
{
	struct deploy_have h = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(got(&h, DEPLOY_NEW, 0,
			     "New empty certificate store '/r/b.pem'!", &e),
	    DEPLOY_FAILED);
	assert_false(h.store);
	assert_true(h.unsure);
	assert_int_equal(
	    got(&h, DEPLOY_COMMIT, 0, "Committing /r/b.pem.\nSuccess!", &e),
	    DEPLOY_FAILED);
	assert_int_equal(got(&h, DEPLOY_ADD, 0,
			     "Inserting certificate '/r/b.pem' in crt-list "
			     "'/r/list'.\nSuccess!",
			     &e),
	    DEPLOY_FAILED);
	assert_int_equal(h.nentries, 0);
	assert_int_equal(got(&h, DEPLOY_SHOW, 0,
			     "Filename: /r/b.pem\nSHA1 FingerPrint: " OURS, &e),
	    DEPLOY_FAILED);
	assert_string_equal(h.sha1, "");
}

static void
what_haproxy_has_is_learned_from_its_answers(void **state)
{
	struct deploy_have h = { 0 };
	struct err e;

	(void)state;
	assert_int_equal(got(&h, DEPLOY_NEW, 0,
			     "Certificate '/r/a.pem' already exists!", &e),
	    DEPLOY_OK);
	assert_true(h.store);
	assert_int_equal(
	    got(&h, DEPLOY_COMMIT, 0, "Committing /r/a.pem..\nSuccess!", &e),
	    DEPLOY_OK);
	assert_int_equal(
	    got(&h, DEPLOY_ABORT, 0, "No ongoing transaction!", &e), DEPLOY_OK);
	assert_int_equal(got(&h, DEPLOY_ADD, 0,
			     "Inserting certificate '/r/a.pem' in crt-list "
			     "'/r/list'.\nSuccess!",
			     &e),
	    DEPLOY_OK);
	assert_int_equal(got(&h, DEPLOY_SHOW, 0,
			     "Filename: /r/a.pem\nSHA1 FingerPrint: " OURS, &e),
	    DEPLOY_OK);
	plan_is(&h, &want, "");
	plan_is(&h, &gone, "e0D");
	assert_int_equal(
	    got(&h, DEPLOY_DEL_ENTRY, 0,
		"Entry '/r/a.pem' deleted in crtlist '/r/list'!", &e),
	    DEPLOY_OK);
	plan_is(&h, &gone, "D");
	/* Another bind line names it: then it is not ours to delete. */
	assert_int_equal(got(&h, DEPLOY_DEL, 0,
			     "Can't remove the certificate: certificate "
			     "'/r/a.pem' in use, can't be deleted!",
			     &e),
	    DEPLOY_OK);
	plan_is(&h, &gone, "");
}

static void
failures_say_who_has_to_act(void **state)
{
	struct deploy_have h = having(OLD);
	struct err e;

	(void)state;
	assert_int_equal(
	    got(&h, DEPLOY_COMMIT, 0,
		"inconsistencies between private key and certificate loaded "
		"'/r/a.pem'.\nCan't commit /r/a.pem!",
		&e),
	    DEPLOY_REFUSED);
	assert_int_equal(e.kind, ERR_REFUSED);
	assert_non_null(strstr(e.text, "inconsistencies"));
	assert_int_equal(
	    got(&h, DEPLOY_NEW, 0, "Permission denied", &e), DEPLOY_FAILED);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(strstr(e.text, "level admin"));
	assert_int_equal(got(&h, DEPLOY_ADD, 0,
			     "Can't edit the crt-list: crt-list '/r/list' "
			     "does not exist!",
			     &e),
	    DEPLOY_FAILED);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_false(h.unsure);
	assert_int_equal(
	    got(&h, DEPLOY_ADD, 0, "\x1b[31mwhat?\nhm", &e), DEPLOY_FAILED);
	assert_int_equal(e.kind, ERR_AGAIN);
	assert_null(strpbrk(e.text, "\x1b\n"));
	assert_true(h.unsure);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_missing_is_done),
		cmocka_unit_test(
		    duplicates_and_foreign_filters_are_removed_by_their_line),
		cmocka_unit_test(commands_stand_in_the_order_of_the_plan),
		cmocka_unit_test(after_set_the_answer_must_be_exactly_ours),
		cmocka_unit_test(
		    answers_about_another_certificate_are_no_success),
		cmocka_unit_test(what_haproxy_has_is_learned_from_its_answers),
		cmocka_unit_test(failures_say_who_has_to_act),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
