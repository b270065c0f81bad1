/*
 * What Scalingo's clients ask before anything else: a pass for their token,
 * where the API is, and who they are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/b64.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/api/auth.h"
#include "sync/api/pass.h"
#include "sync/store_token.h"

/* The region that they take when nobody says another. */
#define REGION "osc-fr1"
#define BASE_MAX 512

/* --- a pass ------------------------------------------------------------------ */

static void
got_key(void *arg, const uint8_t *key, const struct err *e)
{
	struct request *q = arg;
	char pass[PASS_SIZE];

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	pass_make(key, q->hash, loop_wall_ms(), pass);
	request_reply(q, 200, json_pack("{s:s}", "token", pass));
	mem_wipe(pass, sizeof(pass));
}

static void
exchange(struct request *q)
{
	store_token_key(q->api->store, got_key, q);
}

/* The token in "Basic " and the base64 of ":" and it; -1: there is none. */
static int
read_basic(const char *header, char token[static TOKEN_SIZE])
{
	static const char scheme[] = "Basic ";
	uint8_t text[TOKEN_SIZE + 4];
	ptrdiff_t n;
	int rc = -1;

	if (header == NULL ||
	    strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
		return -1;
	header += sizeof(scheme) - 1;
	if (strlen(header) > B64_SIZE(TOKEN_SIZE) - 1)
		return -1;
	n = b64_decode(text, header, strlen(header));
	if (n == TOKEN_SIZE && text[0] == ':') {
		memcpy(token, text + 1, TOKEN_SIZE - 1);
		token[TOKEN_SIZE - 1] = '\0';
		rc = token_is(token) ? 0 : -1;
	}
	mem_wipe(text, sizeof(text));
	return rc;
}

void
session_exchange(struct request *q)
{
	char token[TOKEN_SIZE], hash[TOKEN_HASH_SIZE];

	if (read_basic(request_header(q, "Authorization"), token) == -1) {
		auth_refuse(q, "that is no token of certfleet's");
		return;
	}
	token_hash(token, hash);
	mem_wipe(token, sizeof(token));
	auth_token(q, hash, exchange);
}

/* --- where and who ------------------------------------------------------------ */

/* Where the API is, as the client asks or as the operator says. */
static int
base_url(const struct request *q, char url[static BASE_MAX])
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789-.:[]";
	const char *host = request_header(q, "Host");
	const char *said = q->api->conf->api.url;

	if (said[0] != '\0') {
		snprintf(url, BASE_MAX, "%s", said);
		return 0;
	}
	if (host == NULL || strlen(host) > 255 ||
	    !str_only(host, strlen(host), plain))
		return -1;
	snprintf(url, BASE_MAX, "http://%s", host);
	return 0;
}

void
session_regions(struct request *q)
{
	char url[BASE_MAX];

	if (base_url(q, url) == -1) {
		request_error(q, 400, "bad_request",
		    "the Host header is no host; api.url can be set instead");
		return;
	}
	request_reply(q, 200,
	    json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:b}]}", "regions",
		"name", REGION, "display_name", "certfleet", "ssh", "", "api",
		url, "dashboard", url, "database_api", url, "default", 1));
}

void
session_self(struct request *q)
{
	char id[TOKEN_ID_SIZE] = "local";
	const char *name = q->who;

	if (q->by_token) {
		token_id(&q->token, id);
		name = q->token.name;
	}
	request_reply(q, 200,
	    json_pack("{s:{s:s, s:s, s:s, s:s, s:{}}}", "user", "id", id,
		"username", name, "fullname", name, "email", "", "flags"));
}
