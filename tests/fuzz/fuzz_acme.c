/*
 * What a CA may send: the first byte says how the rest is read.  0-7: the
 * reply to what an order asks in that state; 8: a directory, a problem, renewal
 * information; 9: the lines of a head; 10: a URL; 11: links.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/acme.h"
#include "sync/acme_link.h"
#include "sync/ari.h"
#include "sync/http.h"
#include "sync/http_head.h"
#include "sync/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

/* An err is one printable line. */
static void
must_be_sentence(const struct err *e)
{
	must(e->kind != ERR_NONE && e->text[0] != '\0');
	for (const char *p = e->text; *p != '\0'; p++)
		must((unsigned char)*p >= ' ' && *p != 0x7f);
}

static struct order
order_in(enum order_state s)
{
	struct order o = {
		.state = s, .names = { "a.test", "*.a.test" }, .nnames = 2
	};

	o.url = xstrdup("https://ca.test/o");
	o.finalize = xstrdup("https://ca.test/f");
	o.certificate = xstrdup("https://ca.test/c");
	o.csr = xstrdup("csr");
	if (s > ORDER_NEW) {
		o.nauthz = 1;
		o.authz[0].url = xstrdup("https://ca.test/a");
		o.authz[0].challenge_url = xstrdup("https://ca.test/h");
	}
	return o;
}

static void
fuzz_order(enum order_state s, json_t *body, const char *text, size_t len)
{
	struct order o = order_in(s);
	struct reply r = { .status = 200,
		.location = "https://ca.test/o2",
		.body = body,
		.text = text,
		.len = len };
	struct err e = { 0 };
	struct ask ask;

	if (order_got(&o, &r, &e) == -1) {
		must_be_sentence(&e);
	} else {
		must(o.state < ORDER_STATES);
		must(o.nauthz <= o.nnames);
		must(o.state != ORDER_PRESENT ||
		     (strlen(order_authz(&o)->token) >= 22 &&
			 str_only(order_authz(&o)->token,
			     strlen(order_authz(&o)->token), B64URL_CHARS)));
		if (order_ask(&o, &ask, &e) == 0) {
			must(ask.what != ASK_POST || ask.url != NULL);
			json_decref(ask.payload);
		} else {
			must_be_sentence(&e);
		}
	}
	order_clear(&o);
}

/* Whatever window it is: a renewal inside the lifetime, and not in the past. */
static void
fuzz_window(json_t *body)
{
	struct err e = { 0 };
	struct domain d;
	struct ari ari;

	if (ari_parse(&ari, body, &e) == -1) {
		must_be_sentence(&e);
		return;
	}
	must(ari.start < ari.end);
	for (const char *p = ari.explanation_url; *p != '\0'; p++)
		must(*p > ' ' && *p < 0x7f);
	domain_init(&d);
	d.not_before = 1000;
	d.not_after = 4000000000000;
	ari_take(&d, &ari, 2000);
	must(d.renew_at >= 2000 && d.renew_at < d.not_after);
}

/* Each link found lies in the text, and the search comes to an end. */
static void
fuzz_links(const char *text)
{
	const char *at = text;
	char url[256];

	while (acme_link(&at, "alternate", url, sizeof(url)) == 0) {
		must(url[0] != '\0' && strstr(text, url) != NULL);
		must(at > text && at <= text + strlen(text));
	}
}

static void
fuzz_objects(json_t *body)
{
	struct acme_answer a = { .status = 400, .body = body };
	struct acme_directory d;
	struct err e = { 0 };

	if (acme_directory_parse(&d, body, &e) == -1)
		must_be_sentence(&e);
	else
		for (int i = ACME_NEW_NONCE; i <= ACME_NEW_ORDER; i++)
			must(d.url[i] != NULL);
	acme_directory_clear(&d);
	acme_problem(&a, &e);
	must_be_sentence(&e);
	fuzz_window(body);
}

static void
fuzz_head(const char *text, size_t len)
{
	struct http_head h = { 0 };
	const char *end = text + len, *line, *next;
	int64_t ms;

	for (line = text; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next != NULL ? next + 1 : end;
		if (http_head_line(&h, line, (size_t)(next - line)) == -1)
			break;
	}
	for (int i = 0; i < HTTP_HEADERS; i++)
		must(strlen(http_head_get(&h, (enum http_header)i)) <=
		     HTTP_VALUE_MAX);
	ms = http_retry_after(http_head_get(&h, HTTP_RETRY_AFTER), 1000);
	must(ms >= 0);
	must(http_date(http_head_get(&h, HTTP_DATE)) >= 0);
	acme_nonce_valid(http_head_get(&h, HTTP_REPLAY_NONCE));
	http_head_clear(&h);
}

/* What is accepted begins with the one host that is allowed. */
static void
fuzz_url(const char *url)
{
	static const char home[] = "https://ca.test/dir";
	static const struct conf_list none = { NULL, 0 };
	struct err e = { 0 };
	char start[24] = "";

	if (acme_url_check(url, home, &none, false, &e) == -1) {
		must_be_sentence(&e);
		return;
	}
	for (size_t i = 0; i < sizeof(start) - 1 && url[i] != '\0'; i++)
		start[i] = url[i] >= 'A' && url[i] <= 'Z' ? (char)(url[i] + 32)
		                                          : url[i];
	must(strncmp(start, "https://ca.test", 15) == 0);
	must(start[15] == '\0' || strchr("/?#:", start[15]) != NULL);
	must(start[15] != ':' || strncmp(start + 15, ":443", 4) == 0);
	must(acme_url_check(url, home, &none, true, &e) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text;
	json_t *body;

	if (len == 0 || data[0] > 11)
		return 0;
	text = xmemdup0(data + 1, len - 1);
	body = json_loadb(text, len - 1, JSON_REJECT_DUPLICATES, NULL);
	if (data[0] == 11)
		fuzz_links(text);
	else if (data[0] == 10)
		fuzz_url(text);
	else if (data[0] == 9)
		fuzz_head(text, len - 1);
	else if (data[0] == 8)
		fuzz_objects(body);
	else
		fuzz_order((enum order_state)data[0], body, text, len - 1);
	json_decref(body);
	free(text);
	return 0;
}
