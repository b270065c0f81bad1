#include "providers/provider.h"

#include <string.h>

#include "common/mem.h"
#include "providers/step.h"

/* More than the longest dialogue needs; a list without an end stops here. */
#define REQUESTS_MAX 128

void
provider_begin(struct txt_record *t, enum provider_op op)
{
	struct err e;

	t->op = op;
	t->step = t->access->provider->first[op];
	t->wait_ms = 0;
	t->etag[0] = t->change[0] = t->cursor[0] = '\0';
	t->page = 1;
	t->candidate = t->polls = t->conflicts = t->requests = 0;
	t->in_login = t->login_fresh = false;
	step_keep_set(t, NULL);
	/* A name without a dot has no zone: provider_ask() will say so. */
	if (op == PROVIDER_FIND)
		(void)step_next_zone(t, &e);
}

bool
provider_done(const struct txt_record *t)
{
	return t->step == PROVIDER_DONE;
}

void
txt_record_clear(struct txt_record *t)
{
	step_keep_set(t, NULL);
	*t = (struct txt_record){ .step = PROVIDER_DONE };
}

int
provider_ask(struct txt_record *t, int64_t now_s, struct http_msg_req *req,
    struct err *e)
{
	const struct provider *p = t->access->provider;
	const struct provider_step *step = &p->step[t->step];

	t->now_s = now_s;
	t->wait_ms = 0;
	/* An empty name would be a search for any zone. */
	if (t->op == PROVIDER_FIND && t->zone[0] == '\0')
		return err_set(e, ERR_REFUSED,
		    "no zone for %.80s in the %s account", t->fqdn, p->name);
	if (++t->requests > REQUESTS_MAX)
		return err_set(e, ERR_AGAIN,
		    "%s: more than %d requests and no end for %.80s", p->name,
		    REQUESTS_MAX, t->fqdn);
	t->in_login = p->login.ask != NULL && t->access->until_s <= now_s;
	if (t->in_login)
		step = &p->login;
	if (step->ask(t, req, e) == -1)
		return -1;
	if (req->too_long)
		return err_set(e, ERR_BUG,
		    "%s: a request for %.80s would be too long", p->name,
		    t->fqdn);
	return 0;
}

int
provider_got(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const struct provider *p = t->access->provider;

	if (t->in_login) {
		if (p->login.got(t, res, e) == -1)
			return -1;
		t->login_fresh = t->access->until_s > t->now_s;
		return 0;
	}
	/* A token may end before its time: once, it is fetched anew. */
	if (res->status == 401 && p->login.ask != NULL && !t->login_fresh) {
		t->access->until_s = 0;
		return 0;
	}
	return p->step[t->step].got(t, res, e);
}
