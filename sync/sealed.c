#include "sync/sealed.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/b64.h"
#include "common/mem.h"
#include "sync/bundle.h"

/* Sealed as it stands: its type, and the name that is bound to it. */
static const char *
plain_type(enum sealed kind, const char **name)
{
	switch (kind) {
	case SEALED_ORDER_KEY:
		return "csrkey";
	case SEALED_ENV:
		return "env";
	case SEALED_ACCOUNT:
		return "account";
	case SEALED_ROLLOVER:
		*name = "rollover";
		return "account";
	case SEALED_TOKEN_KEY:
		*name = "passes";
		return "tokens";
	case SEALED_CERT:
	case SEALED_PREVIOUS:
	case SEALED_NEXT_CERT:
	case SEALED_CUSTOM:
	case SEALED_PREVIOUS_CUSTOM:
	case SEALED_NEXT_CUSTOM:
	case SEALED_ORDER_FIRST:
	case SEALED_KINDS:
		break;
	}
	return NULL; /* a bundle */
}

static int
plain_again(const struct seal_ring *ring, const char *type, const char *name,
    const void *bytes, size_t len, struct buf *out, struct err *e)
{
	struct buf plain;
	int rc = -1;

	buf_init(&plain, SEALED_MAX_LEN);
	if (seal_open(ring, type, name, "", bytes, len, &plain, e) == 0)
		rc = seal(ring, type, name, "", plain.p, plain.len, out, e);
	buf_wipe(&plain);
	return rc;
}

/* --- an account: JSON, in which the key is --------------------------------------- */

/* The sealed key of an account; freed by the caller, NULL: there is none. */
static uint8_t *
account_key(const json_t *account, size_t *len)
{
	const char *text = json_string_value(json_object_get(account, "key"));
	size_t n = text != NULL ? strlen(text) : 0;
	uint8_t *sealed = xmalloc(n + 1);
	ptrdiff_t got = text != NULL ? b64_decode(sealed, text, n) : -1;

	if (got == -1) {
		free(sealed);
		return NULL;
	}
	*len = (size_t)got;
	return sealed;
}

static uint32_t
account_key_id(const void *bytes, size_t len)
{
	json_t *account = json_loadb(bytes, len, 0, NULL);
	size_t n = 0;
	uint8_t *sealed = account_key(account, &n);
	uint32_t id = sealed != NULL ? seal_key_id(sealed, n) : 0;

	free(sealed);
	json_decref(account);
	return id;
}

static int
account_again(const struct seal_ring *ring, const char *ca, const void *bytes,
    size_t len, struct buf *out, struct err *e)
{
	json_t *account = json_loadb(bytes, len, 0, NULL);
	size_t n = 0;
	uint8_t *sealed = account_key(account, &n);
	char *b64, *text;
	struct buf again;
	int rc = -1;

	buf_init(&again, SEALED_MAX_LEN);
	if (sealed == NULL) {
		err_set(e, ERR_BUG, "the account in Redis is not ours");
	} else if (plain_again(ring, "account", ca, sealed, n, &again, e) ==
		   0) {
		b64 = xmalloc(B64_SIZE(again.len));
		b64_encode(b64, again.p, again.len);
		json_object_set_new(account, "key", json_string(b64));
		text = json_dumps(account, JSON_COMPACT);
		rc = buf_puts(out, text);
		free(text);
		free(b64);
	}
	buf_clear(&again);
	free(sealed);
	json_decref(account);
	return rc;
}

/* --- all kinds ---------------------------------------------------------------------- */

uint32_t
sealed_key_id(enum sealed kind, const void *bytes, size_t len)
{
	const char *name = "";

	if (kind == SEALED_ACCOUNT)
		return account_key_id(bytes, len);
	return plain_type(kind, &name) != NULL ? seal_key_id(bytes, len)
	                                       : bundle_key_id(bytes, len);
}

int
sealed_again(const struct seal_ring *ring, enum sealed kind, const char *name,
    const void *bytes, size_t len, struct buf *out, struct err *e)
{
	const char *type = plain_type(kind, &name);

	if (kind == SEALED_ACCOUNT)
		return account_again(ring, name, bytes, len, out, e);
	return type != NULL ? plain_again(ring, type, name, bytes, len, out, e)
	                    : bundle_reseal(ring, name, bytes, len, out, e);
}
