#include "sync/acme.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/str.h"

#define URN "urn:ietf:params:acme:error:"

static const char *const resources[ACME_RESOURCES] = {
	[ACME_NEW_NONCE] = "newNonce",
	[ACME_NEW_ACCOUNT] = "newAccount",
	[ACME_NEW_ORDER] = "newOrder",
	[ACME_REVOKE_CERT] = "revokeCert",
	[ACME_KEY_CHANGE] = "keyChange",
	[ACME_RENEWAL_INFO] = "renewalInfo",
};

/* Section 6.7: the cure of each.  What is not here is judged by its status. */
static const struct {
	const char *type;
	enum err_kind kind;
} problems[] = {
	{ "accountDoesNotExist", ERR_CONFIG },
	{ "badCSR", ERR_BUG },
	{ "badNonce", ERR_AGAIN },
	{ "badPublicKey", ERR_BUG },
	{ "badSignatureAlgorithm", ERR_BUG },
	{ "caa", ERR_REFUSED },
	{ "connection", ERR_REFUSED },
	{ "dns", ERR_REFUSED },
	{ "externalAccountRequired", ERR_CONFIG },
	{ "incorrectResponse", ERR_REFUSED },
	{ "invalidContact", ERR_CONFIG },
	{ "invalidProfile", ERR_CONFIG },
	{ "malformed", ERR_BUG },
	{ "orderNotReady", ERR_AGAIN },
	{ "rateLimited", ERR_LIMITED },
	{ "rejectedIdentifier", ERR_REFUSED },
	{ "serverInternal", ERR_AGAIN },
	{ "tls", ERR_REFUSED },
	{ "unauthorized", ERR_REFUSED },
	{ "unsupportedContact", ERR_CONFIG },
	{ "unsupportedIdentifier", ERR_REFUSED },
	{ "userActionRequired", ERR_CONFIG },
};

/* A string of the object that is there, short enough and not empty. */
static char *
take_url(json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	if (s == NULL || s[0] == '\0' || strlen(s) >= ACME_URL_MAX)
		return NULL;
	return xstrdup(s);
}

int
acme_directory_parse(struct acme_directory *d, json_t *body, struct err *e)
{
	json_t *meta = json_object_get(body, "meta"), *text;
	const char *name;
	size_t len;

	*d = (struct acme_directory){ 0 };
	for (int i = 0; i < ACME_RESOURCES; i++) {
		d->url[i] = take_url(body, resources[i]);
		if (d->url[i] == NULL && i <= ACME_NEW_ORDER)
			return err_set(e, ERR_BUG,
			    "this is not an ACME directory: no %s in it",
			    resources[i]);
	}
	d->terms = take_url(meta, "termsOfService");
	d->eab_required =
	    json_is_true(json_object_get(meta, "externalAccountRequired"));
	json_object_foreach (json_object_get(meta, "profiles"), name, text) {
		len = strlen(name);
		if (d->nprofiles == ACME_PROFILES_MAX)
			break;
		if (len < ACME_PROFILE_MAX)
			memcpy(d->profile[d->nprofiles++], name, len + 1);
	}
	return 0;
}

int
acme_profile_check(
    const struct acme_directory *d, const char *profile, struct err *e)
{
	char list[sizeof(e->text)] = "none at all";
	size_t len = 0;

	/* Of more than we keep nothing can be said. */
	if (profile == NULL || d->nprofiles == ACME_PROFILES_MAX)
		return 0;
	for (size_t i = 0; i < d->nprofiles; i++) {
		if (strcmp(d->profile[i], profile) == 0)
			return 0;
		if (len < sizeof(list))
			len += (size_t)snprintf(list + len, sizeof(list) - len,
			    "%s%s", i > 0 ? ", " : "", d->profile[i]);
	}
	err_set(e, ERR_CONFIG,
	    "the CA has no profile \"%s\" as the setting profile wants; it "
	    "offers %.150s",
	    profile, list);
	memcpy(e->type, "invalidProfile", sizeof("invalidProfile"));
	return -1;
}

void
acme_directory_clear(struct acme_directory *d)
{
	for (int i = 0; i < ACME_RESOURCES; i++)
		free(d->url[i]);
	free(d->terms);
	*d = (struct acme_directory){ 0 };
}

const char *
acme_directory_url(const struct acme_directory *d, const char *name)
{
	for (int i = 0; i < ACME_RESOURCES; i++)
		if (strcmp(resources[i], name) == 0)
			return d->url[i];
	return name;
}

/* Where a URL leads, as spans of it. */
struct place {
	bool https;
	const char *host;
	int host_len;
	const char *port;
	int port_len;
};

/* Between scheme and path: host, or [IPv6 address], and port. */
static int
take_place(const char *url, struct place *at)
{
	const char *p = url, *end;

	*at = (struct place){ .https = strncasecmp(p, "https://", 8) == 0 };
	if (!at->https && strncasecmp(p, "http://", 7) != 0)
		return -1;
	p += at->https ? 8 : 7;
	end = p + strcspn(p, "/?#");
	at->host = p;
	if (*p == '[') {
		p += strspn(p, "[0123456789abcdefABCDEF:.");
		if (*p++ != ']')
			return -1;
	} else {
		p += strspn(p, B64URL_CHARS ".");
	}
	at->host_len = (int)(p - at->host);
	at->port = at->https ? "443" : "80";
	at->port_len = (int)strlen(at->port);
	if (*p == ':') {
		at->port = ++p;
		p += strspn(p, "0123456789");
		at->port_len = (int)(p - at->port);
	}
	if (p != end || at->host_len == 0 || at->port_len == 0)
		return -1;
	return 0;
}

static bool
same_place(const struct place *a, const struct place *b)
{
	return a->host_len == b->host_len && a->port_len == b->port_len &&
	       strncasecmp(a->host, b->host, (size_t)a->host_len) == 0 &&
	       memcmp(a->port, b->port, (size_t)a->port_len) == 0;
}

/* "host" or "host:port" of the settings. */
static bool
allowed(const struct place *at, const struct conf_list *allow)
{
	struct place other;
	bool same;
	char *url;

	for (size_t i = 0; i < allow->n; i++) {
		url = xasprintf("https://%s", allow->item[i]);
		same = take_place(url, &other) == 0 && same_place(at, &other);
		free(url);
		if (same)
			return true;
	}
	return false;
}

bool
acme_url_at(
    const char *url, const char *directory, const struct conf_list *allow)
{
	struct place at, home;

	return take_place(url, &at) == 0 &&
	       ((take_place(directory, &home) == 0 && same_place(&at, &home)) ||
		   allowed(&at, allow));
}

int
acme_url_check(const char *url, const char *directory,
    const struct conf_list *allow, bool insecure_test, struct err *e)
{
	struct place at;
	char shown[128];

	str_printable(shown, sizeof(shown), url, strlen(url));
	if (strlen(url) >= ACME_URL_MAX)
		return err_set(e, ERR_BUG,
		    "CA gave a URL of %zu characters; at most %d are accepted",
		    strlen(url), ACME_URL_MAX - 1);
	for (const char *p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p == '\x7f')
			return err_set(e, ERR_BUG,
			    "CA gave a URL that is none: %s", shown);
	if (take_place(url, &at) == -1)
		return err_set(e, ERR_BUG,
		    "CA gave a URL that is no web address: %s", shown);
	if (insecure_test)
		return 0;
	if (!at.https)
		return err_set(
		    e, ERR_CONFIG, "%s is not an https URL; it must be", shown);
	if (acme_url_at(url, directory, allow))
		return 0;
	return err_set(e, ERR_CONFIG,
	    "CA sends us to %.*s:%.*s, which is not the directory's host; "
	    "add it to allow_hosts if it is the CA's",
	    at.host_len > 100 ? 100 : at.host_len, at.host,
	    at.port_len > 5 ? 5 : at.port_len, at.port);
}

int
acme_request(const struct jose_key *key, const char *url, const char *kid,
    const char *nonce, json_t *payload, struct buf *out, struct err *e)
{
	json_t *header;
	char *text;
	int rc;

	header = json_pack("{s:s, s:s}", "nonce", nonce, "url", url);
	if (kid != NULL)
		json_object_set_new(header, "kid", json_string(kid));
	else
		json_object_set_new(header, "jwk", jose_jwk(key));
	text = payload != NULL ? json_dumps(payload, JSON_COMPACT) : NULL;
	rc = jose_sign(key, header, text != NULL ? text : "", out, e);
	free(text);
	return rc;
}

/* Section 7.3.4: the account's JWK, signed with the key the CA handed out. */
static json_t *
binding(const struct jose_key *key, const char *url, const char *kid,
    const char *hmac_key, struct err *e)
{
	json_t *header, *jwk = jose_jwk(key), *jws = NULL;
	char *payload = json_dumps(jwk, JSON_COMPACT);
	struct buf out;

	header = json_pack("{s:s, s:s}", "kid", kid, "url", url);
	if (header == NULL)
		header = json_object(); /* kid is no UTF-8: the CA will say */
	buf_init(&out, ACME_REQUEST_MAX);
	if (jose_mac(hmac_key, header, payload, &out, e) == 0)
		jws = json_loadb(out.p, out.len, 0, NULL);
	buf_clear(&out);
	free(payload);
	json_decref(jwk);
	return jws;
}

json_t *
acme_new_account(const struct jose_key *key, const char *new_account_url,
    const struct conf_list *contact, bool agreed, const char *eab_kid,
    const char *eab_hmac_key, struct err *e)
{
	json_t *payload = json_object(), *list, *jws;

	if (agreed)
		json_object_set_new(
		    payload, "termsOfServiceAgreed", json_true());
	if (contact->n > 0) {
		list = json_array();
		for (size_t i = 0; i < contact->n; i++)
			json_array_append_new(
			    list, json_string(contact->item[i]));
		json_object_set_new(payload, "contact", list);
	}
	if (eab_kid == NULL || eab_kid[0] == '\0')
		return payload;
	jws = binding(key, new_account_url, eab_kid,
	    eab_hmac_key != NULL ? eab_hmac_key : "", e);
	if (jws == NULL) {
		json_decref(payload);
		return NULL;
	}
	json_object_set_new(payload, "externalAccountBinding", jws);
	return payload;
}

bool
acme_nonce_valid(const char *nonce)
{
	size_t len = strlen(nonce);

	return len < ACME_NONCE_MAX && str_only(nonce, len, B64URL_CHARS);
}

void
acme_problem_type(json_t *problem, char *dst, size_t size)
{
	const char *type = json_string_value(json_object_get(problem, "type"));

	dst[0] = '\0';
	if (type == NULL || !str_has_prefix(type, URN))
		return;
	type += strlen(URN);
	if (strlen(type) < size && str_only(type, strlen(type), B64URL_CHARS))
		memcpy(dst, type, strlen(type) + 1);
}

void
acme_problem_detail(json_t *problem, char *dst, size_t size)
{
	json_t *sub, *detail, *name;
	char *text;

	dst[0] = '\0';
	detail = json_object_get(problem, "detail");
	if (detail != NULL)
		str_printable(dst, size,
		    json_string_value(detail) != NULL
			? json_string_value(detail)
			: "",
		    json_string_length(detail));
	sub = json_array_get(json_object_get(problem, "subproblems"), 0);
	detail = json_object_get(sub, "detail");
	if (!json_is_string(detail))
		return;
	name = json_object_get(json_object_get(sub, "identifier"), "value");
	text = xasprintf("%s%s%s%s%s", dst, dst[0] != '\0' ? "; " : "",
	    json_is_string(name) ? json_string_value(name) : "",
	    json_is_string(name) ? ": " : "", json_string_value(detail));
	str_printable(dst, size, text, strlen(text));
	free(text);
}

static enum err_kind
kind_by_status(int status)
{
	if (status == 429)
		return ERR_LIMITED;
	/* 409: someone, most likely we, was there before; look again. */
	if (status >= 500 || status == 408 || status == 409)
		return ERR_AGAIN;
	return ERR_BUG;
}

int
acme_problem(const struct acme_answer *a, struct err *e)
{
	enum err_kind kind = kind_by_status(a->status);
	char type[sizeof(e->type)], detail[sizeof(e->text) - 16];

	acme_problem_type(a->body, type, sizeof(type));
	acme_problem_detail(a->body, detail, sizeof(detail));
	for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++)
		if (kind == ERR_BUG && strcmp(problems[i].type, type) == 0)
			kind = problems[i].kind;
	if (strcmp(type, "rateLimited") == 0)
		kind = ERR_LIMITED;
	/* Boulder's and Pebble's words for an account that was closed. */
	if (strcmp(type, "unauthorized") == 0 &&
	    (a->account || strncasecmp(detail, "account ", 8) == 0))
		kind = ERR_CONFIG;
	if (detail[0] != '\0')
		err_set(e, kind, "CA says: %s", detail);
	else if (a->status < 400)
		err_set(e, kind,
		    "CA answered %d; it should answer without a redirect",
		    a->status);
	else
		err_set(
		    e, kind, "CA answered %d without saying why", a->status);
	memcpy(e->type, type, sizeof(type));
	e->retry_ms = a->retry_ms;
	return -1;
}

int
acme_refusal(struct err *e, json_t *problem, const char *what)
{
	char detail[sizeof(e->text)], text[2 * sizeof(e->text)];

	acme_problem_detail(problem, detail, sizeof(detail));
	snprintf(text, sizeof(text), "%s: %s", what,
	    detail[0] != '\0' ? detail : "the CA does not say why");
	err_set(e, ERR_REFUSED, "refused");
	acme_problem_type(problem, e->type, sizeof(e->type));
	str_printable(e->text, sizeof(e->text), text, strlen(text));
	return -1;
}

const char *
acme_status(json_t *object)
{
	const char *s = json_string_value(json_object_get(object, "status"));

	return s != NULL ? s : "";
}

int
acme_keep_url(char **dst, json_t *url, const char *what, struct err *e)
{
	const char *s = json_string_value(url);
	char *copy;

	if (s == NULL || s[0] == '\0' || strlen(s) >= ACME_URL_MAX)
		return err_set(
		    e, ERR_BUG, "no usable %s URL in the reply", what);
	copy = xstrdup(s);
	free(*dst);
	*dst = copy;
	return 0;
}
