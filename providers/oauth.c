#include "providers/oauth.h"

#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "providers/step.h"

#define EXPIRES_MAX_S 86400
#define EXPIRES_DEFAULT_S 300 /* RFC 6749: it need not be said */

/* A number, or the same as a string. */
static int64_t
expires_in_s(json_t *answer)
{
	json_t *v = json_object_get(answer, "expires_in");
	int64_t s = EXPIRES_DEFAULT_S;

	if (json_is_integer(v))
		s = json_integer_value(v);
	else if (json_is_string(v))
		(void)str_int(json_string_value(v), 0, EXPIRES_MAX_S, &s);
	return s < EXPIRES_MAX_S ? s : EXPIRES_MAX_S;
}

static int
refused(const struct txt_record *t, const struct http_msg_res *res,
    json_t *answer, struct err *e)
{
	const char *error = "", *description = "";
	char *said, *end;
	int status = res->status;

	json_unpack(answer, "{s?s,s?s}", "error", &error, "error_description",
	    &description);
	said = xstrdup(description[0] != '\0' ? description : error);
	json_decref(answer);
	/* Numbers for the provider's support follow. */
	end = strstr(said, " Trace ID:");
	if (end != NULL)
		*end = '\0';
	if (status == 400 || status == 401)
		status = 401;
	if (status == 401 && strstr(said, "reasonable timeframe") != NULL)
		err_set(e, ERR_CONFIG,
		    "%s: our clock is wrong by more than five minutes",
		    t->access->provider->name);
	else
		step_refused_as(t, status, res, said, e);
	mem_wipe_free(said);
	return -1;
}

int
oauth_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *token = NULL;
	json_t *answer;

	if (res->status / 100 != 2)
		return refused(t, res, step_json(res), e);
	answer = step_accepted(t, res, e);
	if (answer == NULL)
		return -1;
	json_unpack(answer, "{s:s}", "access_token", &token);
	if (token == NULL || token[0] == '\0') {
		json_decref(answer);
		return err_set(e, ERR_AGAIN, "%s answered without a token",
		    t->access->provider->name);
	}
	step_keep_token(t, token, expires_in_s(answer));
	step_wipe_json(answer);
	return 0;
}
