#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "providers/step.h"
#include "sync/dialogue.h"

#define LOG_MAX 32

/* A server in the same loop: what it was asked, what it shall answer. */
static struct event_base *base;
static struct evhttp *server;
static struct dialogues *all;
static const struct conf conf;
static char url[64], asked[LOG_MAX][64];
static int64_t asked_at[LOG_MAX];
static int nasked, nheld, answers[8], nanswers;
static bool hold;
static struct evhttp_request *held[8];
static const char *header[2];

static void
on_request(struct evhttp_request *r, void *arg)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(r);
	const char *length = evhttp_find_header(in, "Content-Length");
	int status = 200;

	(void)arg;
	assert_true(nasked < LOG_MAX);
	asked_at[nasked] = loop_now_ms();
	snprintf(asked[nasked++], sizeof(asked[0]), "%s%s%s",
	    evhttp_request_get_uri(r), length != NULL ? " " : "",
	    length != NULL ? length : "");
	if (hold) {
		evhttp_request_own(r);
		held[nheld++] = r;
		return;
	}
	if (nanswers > 0) {
		status = answers[0];
		memmove(answers, answers + 1, sizeof(answers[0]) * 7);
		nanswers--;
	}
	if (status != 200 && header[0] != NULL)
		evhttp_add_header(
		    evhttp_request_get_output_headers(r), header[0], header[1]);
	evhttp_send_reply(r, status, "so", NULL);
}

static void
release(void)
{
	hold = false;
	while (nheld > 0)
		evhttp_send_reply(held[--nheld], 200, "so", NULL);
}

/* --- a provider --------------------------------------------------------------- */

static int
find_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	step_start(t, req, "GET");
	http_msg_url(req, "/find");
	return 0;
}

static int
find_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status != 200)
		return step_refused(t, res, "", e);
	t->step = PROVIDER_DONE;
	return str_copy(t->zone_id, sizeof(t->zone_id), "1", e);
}

static int
write_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	step_start(t, req, "POST");
	http_msg_url(req, "/%s/%s", t->zone_id, t->fqdn);
	return 0;
}

static int
write_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status == 202) {
		t->wait_ms = 150;
		return 0;
	}
	if (res->status != 200)
		return step_refused(t, res, "", e);
	t->step = PROVIDER_DONE;
	return 0;
}

static int
login_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	(void)e;
	step_start(t, req, "GET");
	http_msg_url(req, "/login");
	return 0;
}

static int
login_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	if (res->status != 200)
		return step_refused(t, res, "", e);
	t->access->until_s = t->now_s + 100;
	return 0;
}

static const struct provider_step steps[] = {
	{ find_ask, find_got },
	{ write_ask, write_got },
};

static const struct provider fake = {
	.name = "fake",
	.step = steps,
	.first = { [PROVIDER_CREATE] = 1, [PROVIDER_REMOVE] = 1 },
	.nsettings = 1,
	.setting = { { .name = "DNS_FAKE_KEY", .ways = 1 } },
};

static struct provider slow, login;
static struct provider_access access_of = { .provider = &fake };

/* --- what comes of it ------------------------------------------------------------ */

static struct {
	int n, wanted;
	enum err_kind kind[8];
	int64_t retry_ms;
	char text[256];
	const void *arg[8];
} got;

static void
on_done(void *arg, struct txt_record *t, const struct err *e)
{
	assert_non_null(t);
	got.arg[got.n] = arg;
	got.kind[got.n] = e != NULL ? e->kind : ERR_NONE;
	if (e != NULL) {
		got.retry_ms = e->retry_ms;
		snprintf(got.text, sizeof(got.text), "%s", e->text);
	}
	if (++got.n == got.wanted)
		event_base_loopbreak(base);
}

static void
run_until(int wanted)
{
	struct timeval most = { 20, 0 };

	got.wanted = wanted;
	event_base_loopexit(base, &most);
	if (got.n < wanted)
		event_base_dispatch(base);
	assert_int_equal(got.n, wanted);
}

static void
run_for(int ms)
{
	struct timeval most = { ms / 1000, ms % 1000 * 1000 };

	event_base_loopexit(base, &most);
	event_base_dispatch(base);
}

static struct txt_record
record(const char *fqdn)
{
	struct txt_record t = { .access = &access_of };

	snprintf(t.fqdn, sizeof(t.fqdn), "%s", fqdn);
	return t;
}

static int
set_up(void **state)
{
	static char key[] = "secret";
	struct evhttp_bound_socket *socket;
	struct sockaddr_in at = { 0 };
	socklen_t len = sizeof(at);

	(void)state;
	base = loop_new();
	server = evhttp_new(base);
	socket = evhttp_bind_socket_with_handle(server, "127.0.0.1", 0);
	assert_non_null(socket);
	getsockname(evhttp_bound_socket_get_fd(socket),
	    (struct sockaddr *)(void *)&at, &len);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(at.sin_port));
	evhttp_set_gencb(server, on_request, NULL);
	access_of = (struct provider_access){
		.provider = &fake, .base_url = url, .credential = { key }
	};
	slow = login = fake;
	slow.name = "slow";
	login.name = "login";
	login.login = (struct provider_step){ login_ask, login_got };
	all = dialogues_new(base, &conf);
	memset(&got, 0, sizeof(got));
	nasked = nanswers = nheld = 0;
	hold = false;
	header[0] = NULL;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	dialogues_free(all);
	evhttp_free(server);
	event_base_free(base);
	return 0;
}

static void
answer(int a, int b, int c)
{
	answers[0] = a;
	answers[1] = b;
	answers[2] = c;
	nanswers = 3;
}

/* --- the tests ------------------------------------------------------------------- */

static void
the_zone_is_found_before_a_record_is_made(void **state)
{
	struct txt_record t = record("a.x.test");

	(void)state;
	dialogue_run(all, &t, PROVIDER_CREATE, on_done, &t);
	assert_int_equal(got.n, 0);
	run_until(1);
	assert_int_equal(got.kind[0], ERR_NONE);
	assert_ptr_equal(got.arg[0], &t);
	assert_int_equal(nasked, 2);
	assert_string_equal(asked[0], "/find");
	assert_string_equal(asked[1], "/1/a.x.test 0"); /* its length is said */
	assert_string_equal(t.zone, "a.x.test");
	txt_record_clear(&t);
}

static void
a_zone_from_a_journal_is_used_and_found_anew_when_it_is_gone(void **state)
{
	struct txt_record t = record("a.x.test");

	(void)state;
	snprintf(t.zone, sizeof(t.zone), "x.test");
	snprintf(t.zone_id, sizeof(t.zone_id), "7");
	answer(404, 200, 200);
	dialogue_run(all, &t, PROVIDER_REMOVE, on_done, &t);
	run_until(1);
	assert_int_equal(got.kind[0], ERR_NONE);
	assert_string_equal(asked[0], "/7/a.x.test 0");
	assert_string_equal(asked[1], "/find");
	assert_string_equal(asked[2], "/1/a.x.test 0");
	txt_record_clear(&t);
}

static void
what_another_try_cures_is_tried_again(void **state)
{
	struct txt_record t = record("a.x.test");

	(void)state;
	header[0] = "Retry-After";
	header[1] = "1";
	answer(503, 200, 429);
	dialogue_run(all, &t, PROVIDER_CREATE, on_done, &t);
	run_until(1);
	assert_int_equal(got.kind[0], ERR_NONE);
	assert_int_equal(nasked, 4);
	assert_true(asked_at[1] - asked_at[0] >= 1000);
	assert_true(asked_at[3] - asked_at[2] >= 1000);
	txt_record_clear(&t);
}

static void
who_waits_too_long_is_told_how_long(void **state)
{
	struct txt_record t = record("a.x.test");
	char reset[32];

	(void)state;
	snprintf(reset, sizeof(reset), "%lld",
	    (long long)(loop_wall_ms() / 1000 + 3000));
	header[0] = "X-RateLimit-Reset";
	header[1] = reset;
	answer(429, 200, 200);
	dialogue_run(all, &t, PROVIDER_FIND, on_done, &t);
	run_until(1);
	assert_int_equal(got.kind[0], ERR_LIMITED);
	assert_true(got.retry_ms > 2990000 && got.retry_ms <= 3000000);
	assert_string_equal(t.zone, "");
	assert_int_equal(nasked, 1);
	txt_record_clear(&t);
}

/* Each of a hundred wildcards would ask once more, and make it longer. */
static void
who_shares_an_account_that_is_to_slow_down_does_not_ask(void **state)
{
	struct txt_record a = record("a.x.test"), b = record("b.x.test");

	(void)state;
	header[0] = "Retry-After";
	header[1] = "3000";
	answer(429, 200, 200);
	dialogue_run(all, &a, PROVIDER_FIND, on_done, &a);
	run_until(1);
	dialogue_run(all, &b, PROVIDER_FIND, on_done, &b);
	run_until(2);
	assert_int_equal(got.kind[1], ERR_LIMITED);
	assert_true(got.retry_ms > 2990000 && got.retry_ms <= 3000000);
	assert_int_equal(nasked, 1);
	txt_record_clear(&a);
	txt_record_clear(&b);
}

static void
what_a_person_must_cure_is_told_at_once(void **state)
{
	struct txt_record t = record("a.x.test");

	(void)state;
	answer(401, 200, 200);
	dialogue_run(all, &t, PROVIDER_CREATE, on_done, &t);
	run_until(1);
	assert_int_equal(got.kind[0], ERR_CONFIG);
	assert_non_null(strstr(got.text, "DNS_FAKE_KEY"));
	assert_int_equal(nasked, 1);
	txt_record_clear(&t);
}

static void
a_wait_that_the_provider_wants_is_kept(void **state)
{
	struct txt_record t = record("a.x.test");

	(void)state;
	answer(200, 202, 200);
	dialogue_run(all, &t, PROVIDER_CREATE, on_done, &t);
	run_until(1);
	assert_int_equal(nasked, 3);
	assert_true(asked_at[2] - asked_at[1] >= 140);
	txt_record_clear(&t);
}

static void
changes_of_one_name_take_turns_and_of_others_do_not_wait(void **state)
{
	struct txt_record t[3] = { record("a.test"), record("a.test"),
		record("b.test") };
	struct txt_record first = record("c.test");
	uint64_t id[3];

	(void)state;
	/* Without TLS the first answer tells that this is HTTP/1.1. */
	dialogue_run(all, &first, PROVIDER_FIND, on_done, &first);
	run_until(1);
	txt_record_clear(&first);
	got.n = nasked = 0;
	for (int i = 0; i < 3; i++) {
		snprintf(t[i].zone, sizeof(t[i].zone), "test");
		snprintf(t[i].zone_id, sizeof(t[i].zone_id), "%d", i);
		id[i] =
		    dialogue_run(all, &t[i], PROVIDER_CREATE, on_done, &t[i]);
	}
	hold = true;
	run_for(200);
	assert_int_equal(nasked, 2);
	assert_string_equal(asked[0], "/0/a.test 0");
	assert_string_equal(asked[1], "/2/b.test 0");
	/* The next in line follows, whatever became of the first. */
	dialogue_cancel(all, id[0]);
	dialogue_cancel(all, id[0]);
	run_for(200);
	assert_int_equal(nasked, 3);
	assert_string_equal(asked[2], "/1/a.test 0");
	release();
	run_until(2);
	for (int i = 0; i < 3; i++)
		txt_record_clear(&t[i]);
}

static void
a_provider_that_hangs_delays_no_other(void **state)
{
	struct provider_access hanging = access_of;
	struct txt_record t[20], other = record("b.test");

	(void)state;
	hanging.provider = &slow;
	hold = true;
	for (int i = 0; i < 20; i++) {
		t[i] = record("a.test");
		t[i].access = &hanging;
		dialogue_run(all, &t[i], PROVIDER_FIND, on_done, &t[i]);
	}
	run_for(100);
	assert_true(nheld > 0 && nheld <= 8);
	hold = false;
	dialogue_run(all, &other, PROVIDER_FIND, on_done, &other);
	run_until(1);
	assert_ptr_equal(got.arg[0], &other);
	for (int i = 0; i < 20; i++)
		txt_record_clear(&t[i]);
	txt_record_clear(&other);
	dialogues_free(all); /* with twenty under way */
	all = dialogues_new(base, &conf);
	nheld = 0;
}

static void
a_token_is_fetched_once_for_all(void **state)
{
	struct txt_record t[5];

	(void)state;
	access_of.provider = &login;
	for (int i = 0; i < 5; i++) {
		t[i] = record("a.test");
		dialogue_run(all, &t[i], PROVIDER_FIND, on_done, &t[i]);
	}
	run_until(5);
	assert_int_equal(nasked, 6);
	assert_string_equal(asked[0], "/login");
	assert_string_equal(asked[1], "/find");
	for (int i = 0; i < 5; i++)
		txt_record_clear(&t[i]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_zone_is_found_before_a_record_is_made),
		TEST(
		    a_zone_from_a_journal_is_used_and_found_anew_when_it_is_gone),
		TEST(what_another_try_cures_is_tried_again),
		TEST(who_waits_too_long_is_told_how_long),
		TEST(who_shares_an_account_that_is_to_slow_down_does_not_ask),
		TEST(what_a_person_must_cure_is_told_at_once),
		TEST(a_wait_that_the_provider_wants_is_kept),
		TEST(changes_of_one_name_take_turns_and_of_others_do_not_wait),
		TEST(a_provider_that_hangs_delays_no_other),
		TEST(a_token_is_fetched_once_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
