#include "sync/webhook_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/api/json.h"

#define CLOUDFLARE "ssl.custom_hostname_certificate."
#define OWN "certfleet.domain."
#define PREFIX "whsec_"
#define SIGNED_MAX (64 * 1024)

static const char *
field(const struct store_event *e, const char *name)
{
	for (size_t i = 0; i < e->nfields; i++)
		if (strcmp(e->field[2 * i], name) == 0)
			return e->field[2 * i + 1];
	return "";
}

static bool
is(const struct store_event *e, const char *name, const char *value)
{
	return strcmp(field(e, name), value) == 0;
}

static bool
has(const struct store_event *e, const char *name)
{
	return field(e, name)[0] != '\0';
}

/* Of events that are more than their type says. */
struct rule {
	bool applies;
	const char *name, *status;
};

/* Cloudflare's name, NULL where it has none. */
static const char *
cloudflare(const struct store_event *e, const char **status)
{
	bool first = !has(e, "version") || is(e, "version", "1");
	const struct rule rules[] = {
		{ is(e, "type", "issued") && first,
		    CLOUDFLARE "issuance.succeeded", "pending_deployment" },
		{ is(e, "type", "issued"), CLOUDFLARE "renewal.succeeded",
		    "pending_deployment" },
		{ is(e, "type", "failed") && is(e, "status", "in_use"),
		    CLOUDFLARE "renewal.failed", "active" },
		{ is(e, "type", "failed"), CLOUDFLARE "issuance.failed",
		    "pending_issuance" },
		{ is(e, "type", "not_served"), CLOUDFLARE "deployment.failed",
		    "pending_deployment" },
		{ is(e, "type", "removed"), CLOUDFLARE "deletion.succeeded",
		    "deleted" },
		{ is(e, "type", "status") && has(e, "proven"),
		    CLOUDFLARE "deployment.succeeded", "active" },
		{ is(e, "type", "status") &&
			(is(e, "status", "pending_dns") ||
			    is(e, "status", "action_required")),
		    CLOUDFLARE "validation.failed", "pending_validation" },
	};

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].applies) {
			*status = rules[i].status;
			return rules[i].name;
		}
	*status = NULL;
	return NULL;
}

bool
webhook_name(const struct store_event *e, char name[static WEBHOOK_NAME_MAX],
    const char **status)
{
	const char *known = cloudflare(e, status);

	if (!has(e, "name") || !has(e, "type"))
		return false;
	if (known != NULL)
		snprintf(name, WEBHOOK_NAME_MAX, "%s", known);
	else
		snprintf(name, WEBHOOK_NAME_MAX, OWN "%.32s", field(e, "type"));
	return true;
}

bool
webhook_wanted(const struct conf_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		const char *wanted = list->item[i];
		size_t len = strlen(wanted);

		if (len > 0 && wanted[len - 1] == '*'
			? strncmp(wanted, name, len - 1) == 0
			: strcmp(wanted, name) == 0)
			return true;
	}
	return list->n == 0;
}

void
webhook_id(int partition, const char *id, char out[static WEBHOOK_ID_MAX])
{
	snprintf(out, WEBHOOK_ID_MAX, "p%d-%.48s", partition, id);
}

int64_t
webhook_at(const char *id)
{
	struct stream_id at;

	return stream_id_parse(id, &at) == 0 ? (int64_t)at.ms : 0;
}

char *
webhook_body(const struct store_event *e, const char *wid, const char *name,
    const char *status, const char *app, int64_t expires)
{
	json_t *at = json_time(webhook_at(e->id)), *o;
	char id[DOMAIN_ID_MAX], *text;

	domain_id(field(e, "name"), id);
	o = json_pack("{s:s, s:O, s:{s:{s:o, s:s, s:o}}, "
		      "s:{s:s, s:o, s:o, s:{s:o, s:o}, s:o}}",
	    "type", name, "timestamp", at, "metadata", "event", "id",
	    json_text(wid), "type", name, "created_at", at, "data", "id", id,
	    "hostname", json_text(field(e, "name")), "app", json_text(app),
	    "ssl", "status", json_text(status != NULL ? status : ""),
	    "expires_on", json_time(expires), "certfleet",
	    json_event(e->id, e->field, e->nfields));
	text = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	json_decref(o);
	return text;
}

/* The bytes of a secret; -1: it is none. */
static ptrdiff_t
key_of(const char *secret, uint8_t key[static WEBHOOK_KEY_MAX])
{
	size_t len = strlen(secret);
	ptrdiff_t n;

	if (str_has_prefix(secret, PREFIX)) {
		secret += strlen(PREFIX);
		len -= strlen(PREFIX);
		n = len / 4 * 3 <= WEBHOOK_KEY_MAX
		        ? b64_decode(key, secret, len)
		        : -1;
	} else {
		n = len <= WEBHOOK_KEY_MAX ? (ptrdiff_t)len : -1;
		if (n > 0)
			memcpy(key, secret, len);
	}
	return n >= WEBHOOK_KEY_MIN ? n : -1;
}

int
webhook_sign(const char *secret, const char *id, int64_t now_s,
    const char *body, char out[static WEBHOOK_SIGNATURE_MAX], struct err *e)
{
	uint8_t key[WEBHOOK_KEY_MAX], sig[EVP_MAX_MD_SIZE];
	ptrdiff_t n = key_of(secret, key);
	unsigned int len = 0;
	struct buf text;
	int rc = 0;

	buf_init(&text, SIGNED_MAX);
	if (n == -1)
		rc = err_set(e, ERR_CONFIG,
		    "webhook secret must be whsec_ and base64, or text, of %d "
		    "to %d bytes",
		    WEBHOOK_KEY_MIN, WEBHOOK_KEY_MAX);
	else if (buf_putf(&text, "%s.%" PRId64 ".%s", id, now_s, body) == -1)
		rc = err_set(
		    e, ERR_BUG, "an event has more than %d bytes", SIGNED_MAX);
	else if (HMAC(EVP_sha256(), key, (int)n, (const uint8_t *)text.p,
		     text.len, sig, &len) == NULL)
		rc = err_set(e, ERR_BUG, "HMAC-SHA256 failed");
	if (rc == 0) {
		memcpy(out, "v1,", sizeof("v1,"));
		b64_encode(out + strlen(out), sig, len);
	}
	mem_wipe(key, sizeof(key));
	buf_clear(&text);
	return rc;
}
