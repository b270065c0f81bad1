/* The dashboard's login: a token for a session, who has it, and its end. */
#include <string.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/api/auth.h"
#include "sync/api/browser.h"

static json_t *
describe(const struct request *q)
{
	const struct token *t = &q->token;
	char id[TOKEN_ID_SIZE];

	token_id(t, id);
	return json_pack("{s:s, s:s, s:s, s:O?, s:o}", "id", id, "name",
	    t->name, "role", token_role_name(t->role), "apps", t->apps, "until",
	    json_time(t->expires_at > 0 && t->expires_at < q->session_until
			  ? t->expires_at
			  : q->session_until));
}

static void
show(struct request *q)
{
	request_reply(q, 200,
	    json_pack(
		"{s:o}", "session", q->by_token ? describe(q) : json_null()));
}

/* Not 401 for who has none: a page asks this to know that it has to log in. */
void
login_show(struct request *q)
{
	if (browser_comes(q))
		browser_check(q, show);
	else if (browser_welcome(q))
		show(q);
}

static void
begin(struct request *q)
{
	browser_begin(q, show);
}

void
login_begin(struct request *q)
{
	const char *text = auth_bearer(q);
	char hash[TOKEN_HASH_SIZE];

	if (!browser_ours(q))
		return;
	if (text == NULL || !token_is(text)) {
		auth_refuse(q, "that is no token of certfleet's");
		return;
	}
	token_hash(text, hash);
	auth_token(q, hash, begin);
}

static void
end(struct request *q)
{
	browser_end(q);
	request_reply(q, 204, NULL);
}

void
login_end(struct request *q)
{
	if (browser_comes(q))
		browser_check(q, end);
	else if (browser_welcome(q))
		end(q);
}
