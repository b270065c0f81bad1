#include "providers/gcloud_key.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/str.h"
#include "providers/jwt.h"
#include "providers/step.h"

#define VARIABLE "DNS_GCLOUD_JSON_KEYS"
#define KEY_MAX 65536
#define SCOPE "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
#define VALID_S 3600 /* the longest that is accepted */

/* Either alphabet, with or without padding, lines of any length. */
static int
decode(const char *text, struct buf *out)
{
	struct buf plain;
	uint8_t *bytes;
	ptrdiff_t n;

	buf_init(&plain, KEY_MAX);
	for (; *text != '\0'; text++) {
		char c = *text == '+' ? '-' : *text == '/' ? '_' : *text;

		if (isspace((unsigned char)c) || c == '=')
			continue;
		if (buf_put(&plain, &c, 1) == -1)
			break;
	}
	bytes = xmalloc(plain.len + 1);
	n = b64url_decode(bytes, plain.p, plain.len);
	if (n >= 0 && *text == '\0' && buf_put(out, bytes, (size_t)n) == -1)
		n = -1;
	mem_wipe(bytes, plain.len + 1);
	free(bytes);
	buf_wipe(&plain);
	return n > 0 && *text == '\0' ? 0 : -1;
}

/* The token is asked for where the file says, if that is at Google. */
static bool
is_google(const char *uri)
{
	const char *host = uri + strlen("https://");
	char name[128];
	size_t len;

	if (!str_has_prefix(uri, "https://"))
		return false;
	len = strcspn(host, "/?#:@\\");
	if (len >= sizeof(name) || (host[len] != '/' && host[len] != '\0'))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	return strcmp(name, "accounts.google.com") == 0 ||
	       str_has_suffix(name, ".googleapis.com");
}

static int
check(struct gcloud_key *k, struct err *e)
{
	const char *type = "service_account";

	json_unpack(k->json, "{s:s}", "type", &type);
	if (strcmp(type, "service_account") != 0)
		return err_set(e, ERR_CONFIG,
		    VARIABLE " is a key of another type than service_account");
	if (json_unpack(k->json, "{s:s,s:s,s:s,s:s,s:s}", "project_id",
		&k->project, "client_email", &k->email, "private_key",
		&k->private_key, "private_key_id", &k->key_id, "token_uri",
		&k->token_uri) == -1)
		return err_set(e, ERR_CONFIG,
		    VARIABLE " is not the JSON key file of a service account, "
			     "in base64");
	if (!is_google(k->token_uri))
		return err_set(e, ERR_CONFIG,
		    VARIABLE " has a token_uri that is not Google's");
	return 0;
}

int
gcloud_key_parse(struct gcloud_key *k, const char *variable, struct err *e)
{
	struct buf text;
	int rc = 0;

	*k = (struct gcloud_key){ .json = NULL };
	buf_init(&text, KEY_MAX);
	if (variable[0] == '{')
		rc = buf_puts(&text, variable);
	else
		rc = decode(variable, &text);
	if (rc == 0)
		k->json = json_loadb(text.p, text.len, 0, NULL);
	buf_wipe(&text);
	return check(k, e);
}

void
gcloud_key_clear(struct gcloud_key *k)
{
	step_wipe_json(k->json);
	*k = (struct gcloud_key){ .json = NULL };
}

int
gcloud_key_assert(
    const struct gcloud_key *k, int64_t now_s, struct buf *out, struct err *e)
{
	json_t *header = json_pack(
	    "{s:s,s:s,s:s}", "alg", "RS256", "typ", "JWT", "kid", k->key_id);
	json_t *claims = json_pack("{s:s,s:s,s:s,s:I,s:I}", "iss", k->email,
	    "scope", SCOPE, "aud", k->token_uri, "iat", (json_int_t)now_s,
	    "exp", (json_int_t)(now_s + VALID_S));
	char *h = json_dumps(header, JSON_COMPACT);
	char *c = json_dumps(claims, JSON_COMPACT);
	int rc;

	if (h == NULL || c == NULL)
		rc = err_set(e, ERR_CONFIG, VARIABLE " has broken text");
	else
		rc = jwt_sign(k->private_key, h, c, out, e);
	if (rc == -1 && e->kind == ERR_CONFIG)
		err_prefix(e, VARIABLE);
	free(h);
	free(c);
	json_decref(header);
	json_decref(claims);
	return rc;
}
