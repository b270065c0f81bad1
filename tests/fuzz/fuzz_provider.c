/*
 * Any replies to any operation of any provider: it comes to an end, every
 * failure has its sentence on one line, no secret is shown in it, and no
 * request grows a line of its own.
 *
 * First byte: provider; second: operation; then replies, each a byte for the
 * status and a body up to 0xff.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "providers/provider.h"

#define SECRET "sEcReT-of-the-owner"

static const char key[] =
    "{\"type\":\"service_account\",\"project_id\":\"p\",\"client_email\":"
    "\"a@b\",\"private_key\":\"k\",\"private_key_id\":\"1\","
    "\"token_uri\":\"https://oauth2.googleapis.com/token\"}";

static const int statuses[] = { 200, 201, 204, 302, 400, 401, 403, 404, 409,
	412, 422, 429, 500, 503 };

static const char *
value_of(void *arg, const char *name)
{
	(void)arg;
	if (strcmp(name, "DNS_OVH_ENDPOINT") == 0)
		return "ovh-eu";
	if (strcmp(name, "DNS_GCLOUD_JSON_KEYS") == 0)
		return key;
	if (strcmp(name, "DNS_AWS_HOSTED_ZONE_ID") == 0)
		return "";
	/* They say where, and may be shown. */
	if (strstr(name, "_GROUP") != NULL || strstr(name, "_SUBSCR") != NULL)
		return "where";
	return SECRET;
}

static void
check_request(const struct http_msg_req *req)
{
	if (strpbrk(req->url.p, " \r\n") != NULL ||
	    strncmp(req->url.p, "https://", 8) != 0)
		abort();
	for (size_t i = 0; i < req->nheaders; i++)
		if (strpbrk(req->header[i].p, "\r\n") != NULL)
			abort();
}

static void
check_error(const struct err *e)
{
	if (e->kind == ERR_NONE || e->text[0] == '\0' ||
	    strpbrk(e->text, "\r\n") != NULL || strstr(e->text, SECRET) != NULL)
		abort();
}

static void
play(struct txt_record *t, struct http_msg_req *req, const uint8_t *data,
    size_t size)
{
	struct err e = { 0 };

	while (size > 0 && !provider_done(t)) {
		const uint8_t *end = memchr(data, 0xff, size);
		size_t len = end != NULL ? (size_t)(end - data) : size;
		char *body = xmemdup0(data + 1, len > 0 ? len - 1 : 0);
		struct http_msg_res res = {
			.status = statuses[*data % (sizeof(statuses) /
						       sizeof(statuses[0]))],
			.body = body,
			.len = len > 0 ? len - 1 : 0,
		};
		int rc = provider_ask(t, 1700000000, req, &e);

		if (rc == 0) {
			check_request(req);
			rc = provider_got(t, &res, &e);
		}
		free(body);
		if (rc == -1) {
			check_error(&e);
			return;
		}
		data += end != NULL ? len + 1 : len;
		size -= end != NULL ? len + 1 : len;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct txt_record t = { .fqdn = "_acme-challenge.dev.example.com",
		.value = "ADw2sEd82DUgXcQ9hNBZThJs7zVJkR5v9JeSbAb9mZY",
		.soa_zone = "dev.example.com",
		.zone = "example.com",
		.zone_id = "1" };
	struct provider_access access;
	struct provider_vars bad;
	struct http_msg_req req;
	struct err e;
	size_t n = 0;

	if (size < 2)
		return 0;
	while (provider_at(n) != NULL)
		n++;
	http_msg_init(&req);
	/* The key that cannot sign is refused: here it need not. */
	(void)provider_access_init(
	    &access, provider_at(data[0] % n), value_of, NULL, &bad, &e);
	access.token = xstrdup(SECRET);
	access.until_s = data[1] & 128 ? 0 : INT64_MAX;
	t.access = &access;
	provider_begin(&t, (enum provider_op)(data[1] % PROVIDER_OPS));
	play(&t, &req, data + 2, size - 2);
	txt_record_clear(&t);
	provider_access_clear(&access);
	http_msg_wipe(&req);
	return 0;
}
