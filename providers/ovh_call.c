#include "providers/ovh_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "providers/ovh_sign.h"
#include "providers/step.h"

/* An application exists at one endpoint only. */
static const struct {
	const char *name, *url;
} endpoints[] = {
	{ "ovh-eu", "https://eu.api.ovh.com/1.0" },
	{ "ovh-ca", "https://ca.api.ovh.com/1.0" },
};

static const char *
endpoint_url(const char *name)
{
	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (strcmp(endpoints[i].name, name) == 0)
			return endpoints[i].url;
	return NULL;
}

int
ovh_check(
    const char *const *credential, struct provider_vars *bad, struct err *e)
{
	if (endpoint_url(credential[OVH_ENDPOINT]) != NULL)
		return 0;
	bad->name[bad->n++] = "DNS_OVH_ENDPOINT";
	return err_set(
	    e, ERR_CONFIG, "DNS_OVH_ENDPOINT must be ovh-eu or ovh-ca");
}

void
ovh_begin(
    const struct txt_record *t, struct http_msg_req *req, const char *method)
{
	const struct provider_access *a = t->access;

	http_msg_start(req, method,
	    a->base_url != NULL ? a->base_url
				: endpoint_url(a->credential[OVH_ENDPOINT]));
}

int
ovh_sign_request(const struct txt_record *t, struct http_msg_req *req)
{
	char *const *credential = t->access->credential;
	int64_t at_s = t->now_s + t->access->clock_s;
	char signature[OVH_SIGNATURE_SIZE];

	ovh_sign(signature, credential[OVH_SECRET], credential[OVH_CONSUMER],
	    req, at_s);
	http_msg_header(
	    req, "X-Ovh-Application: %s", credential[OVH_APPLICATION]);
	http_msg_header(req, "X-Ovh-Consumer: %s", credential[OVH_CONSUMER]);
	http_msg_header(req, "X-Ovh-Timestamp: %" PRId64, at_s);
	http_msg_header(req, "X-Ovh-Signature: %s", signature);
	return 0;
}

/* Two shapes: {class, message} and {errorCode, httpCode, message}. */
static bool
message_has(const struct http_msg_res *res, const char *text)
{
	json_t *answer = step_json(res);
	const char *message = "";
	bool has;

	json_unpack(answer, "{s:s}", "message", &message);
	has = strcasestr(message, text) != NULL;
	json_decref(answer);
	return has;
}

bool
ovh_not_granted(const struct http_msg_res *res)
{
	return res->status == 403 && message_has(res, "not been granted");
}

/* Which of the 400 and 403 are about the credentials as such. */
static bool
is_unknown(const struct http_msg_res *res)
{
	return (res->status == 403 && !ovh_not_granted(res)) ||
	       message_has(res, "invalid signature");
}

int
ovh_refused(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *answer = step_json(res);
	const char *message = "";
	char said[STEP_SAID_MAX];

	json_unpack(answer, "{s:s}", "message", &message);
	snprintf(said, sizeof(said), "%s%s", message,
	    message_has(res, "application key")
		? " (or belongs to another DNS_OVH_ENDPOINT)"
		: "");
	json_decref(answer);
	return step_refused_as(
	    t, is_unknown(res) ? 401 : res->status, res, said, e);
}

bool
ovh_clock_is_wrong(struct txt_record *t, const struct http_msg_res *res)
{
	if (t->login_fresh || res->status != 400 ||
	    !message_has(res, "timestamp"))
		return false;
	t->access->until_s = 0;
	return true;
}
