#include "sync/authz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/b64.h"
#include "common/domain.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/acme.h"

#define TOKEN_MIN 22 /* 128 bits of entropy, section 8.3 */
#define CHALLENGES_MAX 16
#define ISSUER_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-."
/* RFC 3986, but for what ends a parameter. */
#define URI_CHARS                                                        \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" \
	"-._~:/?#[]@!$&'()*+,%="

/* The one of names, or NULL. */
static const char *
find_name(const char *name, const char *const *names, size_t nnames)
{
	for (size_t i = 0; i < nnames; i++)
		if (strcasecmp(names[i], name) == 0)
			return names[i];
	return NULL;
}

bool
authz_is_for(const char *name, const char *const *names, size_t nnames)
{
	return find_name(name, names, nnames) != NULL;
}

/*
 * Section 7.1.4: an authorization names what it is for; a wildcard's is for
 * its base, with wildcard set.
 */
int
authz_take_name(struct authz *a, json_t *authz, const char *const *names,
    size_t nnames, struct err *e)
{
	json_t *id = json_object_get(authz, "identifier");
	const char *value = json_string_value(json_object_get(id, "value"));
	bool wildcard = json_is_true(json_object_get(authz, "wildcard"));
	char name[DOMAIN_NAME_MAX];
	int n;

	if (value == NULL)
		return err_set(
		    e, ERR_BUG, "this is not an authorization object");
	n = snprintf(name, sizeof(name), "%s%s", wildcard ? "*." : "", value);
	a->name = n < 0 || (size_t)n >= sizeof(name)
	              ? NULL
	              : find_name(name, names, nnames);
	if (a->name == NULL)
		return err_set(e, ERR_BUG,
		    "CA wants an authorization for a name nobody asked for");
	return 0;
}

static const char *
challenge_type(const struct authz *a)
{
	return a->dns01 ? "dns-01" : "http-01";
}

/* NULL: there is none. */
static json_t *
find_challenge(json_t *authz, const char *wanted)
{
	json_t *c, *list = json_object_get(authz, "challenges");
	const char *type;
	size_t i;

	json_array_foreach (list, i, c) {
		type = json_string_value(json_object_get(c, "type"));
		if (type != NULL && strcmp(type, wanted) == 0)
			return c;
		if (i == CHALLENGES_MAX)
			break;
	}
	return NULL;
}

/* The one place that says which challenge we take.  NULL: none of them. */
static json_t *
choose_challenge(const struct authz *a, json_t *authz)
{
	return find_challenge(authz, challenge_type(a));
}

int
authz_take_challenge(struct authz *a, json_t *authz, struct err *e)
{
	json_t *c = choose_challenge(a, authz);
	const char *token = json_string_value(json_object_get(c, "token"));
	size_t len = token != NULL ? strlen(token) : 0;

	if (c == NULL)
		return err_set(e, ERR_REFUSED,
		    "CA offers no %s challenge for %s", challenge_type(a),
		    a->name);
	if (len < TOKEN_MIN || len >= ORDER_TOKEN_MAX ||
	    !str_only(token, len, B64URL_CHARS))
		return err_set(e, ERR_BUG,
		    "token of the challenge is not %d to %d characters of "
		    "base64url",
		    TOKEN_MIN, ORDER_TOKEN_MAX - 1);
	free(a->token);
	a->token = xstrdup(token);
	a->answered = strcmp(acme_status(c), "processing") == 0;
	return acme_keep_url(
	    &a->challenge_url, json_object_get(c, "url"), "challenge", e);
}

/*
 * draft-ietf-acme-dns-persist: an issue-value of CAA (RFC 8659 section 4.2) that
 * names the CA, our account and, for wildcards, a policy.  What is offered in
 * any other way is passed over.
 */
void
authz_take_persist(struct authz *a, json_t *authz, const char *account)
{
	json_t *c = find_challenge(authz, "dns-persist-01");
	json_t *issuers = json_object_get(c, "issuer-domain-names");
	const char *issuer = json_string_value(json_array_get(issuers, 0));
	const char *uri = json_string_value(json_object_get(c, "accounturi"));
	struct err e;

	free(a->persist);
	a->persist = NULL;
	a->persists = false;
	if (uri == NULL)
		uri = account;
	if (account == NULL || !a->dns01 || issuer == NULL || uri[0] == '\0' ||
	    !str_only(issuer, strlen(issuer), ISSUER_CHARS) ||
	    !str_only(uri, strlen(uri), URI_CHARS) ||
	    acme_keep_url(&a->persist_url, json_object_get(c, "url"),
		"challenge", &e) == -1)
		return;
	a->persist =
	    xasprintf("%s; accounturi=%s; policy=wildcard", issuer, uri);
	if (strlen(a->persist) >= ORDER_TXT_MAX) {
		free(a->persist);
		a->persist = NULL;
	}
	a->persist_answered = strcmp(acme_status(c), "processing") == 0;
}

/* The problem of a failed authorization: the challenge that was tried has it. */
static json_t *
authz_problem(const struct authz *a, json_t *authz)
{
	json_t *problem, *c, *list = json_object_get(authz, "challenges");
	size_t i;

	problem = json_object_get(choose_challenge(a, authz), "error");
	if (problem != NULL)
		return problem;
	json_array_foreach (list, i, c) {
		problem = json_object_get(c, "error");
		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/* Invalid, expired, deactivated or revoked: this order is lost. */
int
authz_lost(const struct authz *a, json_t *authz, struct err *e)
{
	json_t *problem = authz_problem(a, authz);
	const char *detail, *status = acme_status(authz);
	char what[400], shown[32];

	if (strcmp(status, "invalid") != 0) {
		str_printable(shown, sizeof(shown), status, strlen(status));
		return err_set(e, ERR_BUG,
		    "authorization is \"%s\"; it should be pending or valid",
		    shown);
	}
	detail = json_string_value(json_object_get(problem, "detail"));
	/* Several places look; what only some can see is a firewall's work. */
	snprintf(what, sizeof(what), "CA could not validate %s%s", a->name,
	    detail != NULL &&
		    str_has_prefix(detail, "During secondary validation")
		? " from everywhere (a firewall by country, or name servers "
		  "that disagree?)"
		: "");
	return acme_refusal(e, problem, what);
}
