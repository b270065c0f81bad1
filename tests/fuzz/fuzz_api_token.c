/* What says who somebody is: passes, records, headers with tags. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/api/etag.h"
#include "sync/api/pass.h"
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
	read_record(text);
	if (etag_named(text, "\"tag\"", false) &&
	    !etag_named(text, "\"tag\"", true))
		abort();
	free(text);
	return 0;
}
