/* What says who somebody is: passes, sessions, records, tags, a browser's headers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "sync/api/etag.h"
#include "sync/api/pass.h"
#include "sync/api/site.h"
#include "sync/api/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

#define NOW INT64_C(1790000000000)

static const uint8_t key[PASS_KEY_LEN] = { 7 };

/* Nobody without the key makes a pass; one of ours stays what it was. */
static void
read_pass(const char *text)
{
	char ours[PASS_SIZE], hash[TOKEN_HASH_SIZE];
	struct err e = { 0 };

	pass_make(key, "AB", NOW, ours);
	if (pass_read(key, text, NOW, hash, &e) == 0 && strcmp(text, ours) != 0)
		abort();
}

/* Nor a session; and what is one thing is not the other. */
static void
read_session(const char *text)
{
	char ours[PASS_SIZE], hash[TOKEN_HASH_SIZE];
	struct session s;
	struct err e = { 0 };

	session_make(key, "AB", NOW, NOW, ours);
	if (session_read(key, text, NOW, &s, &e) == 0 &&
	    (strcmp(text, ours) != 0 ||
		pass_read(key, text, NOW, hash, &e) == 0))
		abort();
}

/*
 * A Host that is ours begins with one of these; an Origin of it ends with it; a
 * cookie that is found stands there with its name.
 */
static void
read_headers(const char *text)
{
	static char url[] = "https://certs.example.com:8443";
	const struct conf conf = { .api = { .url = url } };
	char value[64], whole[96];

	if (site_host(&conf, text) && strncmp(text, "127.", 4) != 0 &&
	    strncasecmp(text, "localhost", 9) != 0 &&
	    strncmp(text, "[::1]", 5) != 0 &&
	    strcasecmp(text, "certs.example.com:8443") != 0)
		abort();
	if (site_origin(text, "certs.example.com:8443", true) &&
	    strcasecmp(text, url) != 0)
		abort();
	if (site_cookie(text, "certfleet", value, sizeof(value))) {
		snprintf(whole, sizeof(whole), "certfleet=%s", value);
		if (strstr(text, whole) == NULL || strchr(value, ';') != NULL)
			abort();
	}
}

/* A record that is taken is written again as one that is taken. */
static void
read_record(const char *text)
{
	struct token t, again;
	struct err e = { 0 };
	char *record;

	if (token_unpack(&t, "AB", text, &e) == -1) {
		if (e.kind != ERR_BUG || t.apps != NULL)
			abort();
		return;
	}
	record = token_pack(&t);
	if (record != NULL) {
		if (token_unpack(&again, "AB", record, &e) == -1 ||
		    again.role != t.role || again.expires_at != t.expires_at ||
		    (again.apps == NULL) != (t.apps == NULL))
			abort();
		free(record);
		token_clear(&again);
	}
	token_clear(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmemdup0(data, size);

	read_pass(text);
	read_session(text);
	read_headers(text);
	read_record(text);
	if (etag_named(text, "\"tag\"", false) &&
	    !etag_named(text, "\"tag\"", true))
		abort();
	free(text);
	return 0;
}
