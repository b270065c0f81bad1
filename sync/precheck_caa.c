/*
 * CAA: may the CA issue?  RFC 8659 says which records count, RFC 8657 what
 * their parameters mean.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"
#include "sync/precheck.h"

#define SHOWN_MAX 72

/* An issue or issuewild value, taken apart; all is borrowed from it. */
struct issue {
	const char *issuer; /* "" when nobody is named */
	size_t issuer_len;
	const char *methods; /* validationmethods, NULL: any */
	size_t methods_len;
};

static int issue_parse(struct issue *, const char *value);
static bool methods_have(const struct issue *, const char *method);

static bool
known_tag(const char *tag)
{
	/* Boulder's list: a critical tag outside it ends an order. */
	static const char *const known[] = { "issue", "issuewild", "iodef",
		"issuemail" };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(tag, known[i]) == 0)
			return true;
	return false;
}

static bool
is_identity(const struct issue *issue, const struct conf_list *identities)
{
	for (size_t i = 0; i < identities->n; i++)
		if (strlen(identities->item[i]) == issue->issuer_len &&
		    strncasecmp(identities->item[i], issue->issuer,
			issue->issuer_len) == 0)
			return true;
	return false;
}

/* A wildcard is ruled by issuewild when there is one (section 4.3). */
static const char *
ruling_tag(bool wildcard, const struct resolve_answer *a)
{
	for (size_t i = 0; wildcard && i < a->ncaas; i++)
		if (strcasecmp(a->caas[i].tag, "issuewild") == 0)
			return "issuewild";
	return "issue";
}

static int
refuse_critical(const struct resolve_answer *a, size_t i, struct err *e)
{
	char shown[SHOWN_MAX];

	str_printable(
	    shown, sizeof(shown), a->caas[i].tag, strlen(a->caas[i].tag));
	return err_set(e, ERR_REFUSED,
	    "CAA of %.*s has the critical tag \"%s\", which the CA does not "
	    "know: remove that record",
	    SHOWN_MAX, a->caa_name, shown);
}

/* Nobody of ours is named: say who is, and the record to add. */
static int
refuse_issue(const struct resolve_answer *a, const char *tag,
    const struct issue *other, const char *identity, struct err *e)
{
	/* A record is given whole or, for a very long name, without it. */
	bool whole = strlen(a->caa_name) <= SHOWN_MAX;
	char shown[SHOWN_MAX];

	if (other != NULL)
		str_printable(
		    shown, sizeof(shown), other->issuer, other->issuer_len);
	return err_set(e, ERR_REFUSED,
	    "CAA of %.*s allows %s%s%s; add: %s%sCAA 0 %s \"%s\"", SHOWN_MAX,
	    a->caa_name, other != NULL ? "only \"" : "no CA at all",
	    other != NULL ? shown : "", other != NULL ? "\"" : "",
	    whole ? a->caa_name : "", whole ? ". " : "", tag, identity);
}

static int
refuse_method(const struct resolve_answer *a, const struct issue *issue,
    const char *method, struct err *e)
{
	char issuer[SHOWN_MAX], methods[SHOWN_MAX];

	str_printable(issuer, sizeof(issuer), issue->issuer, issue->issuer_len);
	str_printable(
	    methods, sizeof(methods), issue->methods, issue->methods_len);
	return err_set(e, ERR_REFUSED,
	    "CAA of %.*s allows \"%s\" only with validationmethods=%s; "
	    "expected %s among them",
	    SHOWN_MAX, a->caa_name, issuer, methods, method);
}

/* Section 4.2: "issue" and "issuewild" say who may, the others do not matter. */
static int
judge_issue(const struct resolve_answer *a, const char *tag, const char *method,
    const struct conf_list *identities, struct err *e)
{
	struct issue issue, other = { 0 }, ours = { 0 };
	bool ruled = false;

	for (size_t i = 0; i < a->ncaas; i++) {
		if (strcasecmp(a->caas[i].tag, tag) != 0)
			continue;
		ruled = true;
		/* What is malformed names nobody. */
		if (issue_parse(&issue, a->caas[i].value) == -1)
			continue;
		if (!is_identity(&issue, identities))
			other = other.issuer_len == 0 ? issue : other;
		else if (methods_have(&issue, method))
			return 0;
		else
			ours = issue;
	}
	if (!ruled)
		return 0;
	if (ours.issuer_len > 0)
		return refuse_method(a, &ours, method, e);
	return refuse_issue(a, tag, other.issuer_len > 0 ? &other : NULL,
	    identities->item[0], e);
}

int
precheck_caa(const char *name, const struct resolve_answer *a,
    const struct conf_list *identities, struct err *e)
{
	bool wildcard = str_has_prefix(name, "*.");

	if (identities->n == 0)
		return 0;
	if (a->caa == RESOLVE_FAIL)
		return err_set(e, ERR_AGAIN,
		    "CAA of %.*s cannot be read, and the CA would refuse: %s",
		    SHOWN_MAX, name, a->error);
	for (size_t i = 0; i < a->ncaas; i++)
		if (a->caas[i].critical && !known_tag(a->caas[i].tag))
			return refuse_critical(a, i, e);
	return judge_issue(a, ruling_tag(wildcard, a),
	    wildcard ? "dns-01" : "http-01", identities, e);
}

static const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

static size_t
trimmed(const char *p, size_t len)
{
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	return len;
}

static bool
only_domain(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '-' && p[i] != '.')
			return false;
	return true;
}

/*
 * Take one parameter, tag "=" value, of len bytes.  accounturi is not judged:
 * the account is not known here.
 */
static int
take_parameter(struct issue *issue, const char *p, size_t len)
{
	static const char methods[] = "validationmethods";
	const char *equal = memchr(p, '=', len), *value;
	size_t tag_len, value_len;

	if (equal == NULL)
		return -1;
	tag_len = trimmed(p, (size_t)(equal - p));
	value = skip_space(equal + 1);
	value_len = trimmed(value, (size_t)(p + len - value));
	if (tag_len == 0)
		return -1;
	for (size_t i = 0; i < tag_len; i++)
		if (!isalnum((unsigned char)p[i]) && p[i] != '-')
			return -1;
	for (size_t i = 0; i < value_len; i++)
		if (value[i] <= ' ' || value[i] > '~')
			return -1;
	if (tag_len != sizeof(methods) - 1 ||
	    strncasecmp(p, methods, tag_len) != 0)
		return 0;
	/* Twice cannot be obeyed, so it names nobody. */
	if (issue->methods != NULL)
		return -1;
	issue->methods = value;
	issue->methods_len = value_len;
	return 0;
}

/* [issuer] *( ";" [parameter] ), RFC 8659 section 4.2. */
static int
issue_parse(struct issue *issue, const char *value)
{
	const char *p = skip_space(value), *end;

	memset(issue, 0, sizeof(*issue));
	issue->issuer = p;
	issue->issuer_len = trimmed(p, strcspn(p, ";"));
	if (!only_domain(p, issue->issuer_len))
		return -1;
	end = p + strcspn(p, ";");
	while (*end == ';') {
		p = skip_space(end + 1);
		end = p + strcspn(p, ";");
		if (trimmed(p, (size_t)(end - p)) > 0 &&
		    take_parameter(issue, p, (size_t)(end - p)) == -1)
			return -1;
	}
	return 0;
}

static bool
methods_have(const struct issue *issue, const char *method)
{
	const char *p = issue->methods, *end;
	size_t len;

	if (p == NULL)
		return true;
	for (end = p + issue->methods_len; p < end; p += len + 1) {
		const char *comma = memchr(p, ',', (size_t)(end - p));

		len = (size_t)((comma != NULL ? comma : end) - p);
		if (len == strlen(method) && strncasecmp(p, method, len) == 0)
			return true;
	}
	return false;
}
