#include "providers/route53_reply.h"

#include <string.h>

#include "common/str.h"

/* What stands as 400 or 403 but is something else. */
static const struct {
	const char *code, *text; /* beginning of code, part of text */
	int status;
} meanings[] = {
	{ "InvalidChangeBatch", "already exists", 409 },
	{ "InvalidChangeBatch", "was not found", 409 },
	{ "InvalidChangeBatch", "do not match the current", 409 },
	{ "PriorRequestNotComplete", "", 409 },
	{ "Throttling", "", 429 },
	{ "TooManyRequests", "", 429 },
	{ "RequestExpired", "", 401 },
	{ "InvalidClientTokenId", "", 401 },
	{ "UnrecognizedClient", "", 401 },
	{ "SignatureDoesNotMatch", "", 401 },
	{ "InvalidSignature", "", 401 },
	{ "ExpiredToken", "", 401 },
	{ "MissingAuthenticationToken", "", 401 },
	{ "IncompleteSignature", "", 401 },
};

void
route53_problem(const struct http_msg_res *res, struct route53_problem *p)
{
	struct xml_node *root = xml_parse(res->body, res->len);
	const struct xml_node *error = xml_child(root, "Error");
	const char *code = xml_text(error, "Code");
	const char *text = xml_text(error, "Message");
	struct err e;

	*p = (struct route53_problem){ .status = res->status };
	if (root != NULL && strcmp(root->name, "InvalidChangeBatch") == 0) {
		code = root->name;
		text = xml_text(xml_child(root, "Messages"), "Message");
	}
	(void)str_copy(p->code, sizeof(p->code), code, &e);
	str_printable(p->text, sizeof(p->text), text, strlen(text));
	xml_free(root);
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (str_has_prefix(p->code, meanings[i].code) &&
		    strstr(p->text, meanings[i].text) != NULL) {
			p->status = meanings[i].status;
			return;
		}
}

int
route53_refused(const struct txt_record *t, const struct http_msg_res *res,
    const struct route53_problem *p, struct err *e)
{
	/* "Signature expired: ... is now earlier than ..." */
	if (p->status == 401 && (strstr(p->text, "expired") != NULL ||
				    strstr(p->text, "not yet") != NULL))
		return err_set(e, ERR_CONFIG,
		    "route53: our clock and Amazon's differ by more than five "
		    "minutes: %.120s",
		    p->text);
	return step_refused_as(
	    t, p->status, res, p->text[0] != '\0' ? p->text : p->code, e);
}

struct xml_node *
route53_unwrap(const struct txt_record *t, const struct http_msg_res *res,
    const char *name, struct err *e)
{
	struct xml_node *root;
	struct route53_problem p;

	if (res->status / 100 != 2) {
		route53_problem(res, &p);
		route53_refused(t, res, &p, e);
		return NULL;
	}
	root = xml_parse(res->body, res->len);
	if (root != NULL && strcmp(root->name, name) == 0)
		return root;
	xml_free(root);
	err_set(e, ERR_AGAIN, "route53 answered %d with something else than %s",
	    res->status, name);
	return NULL;
}
