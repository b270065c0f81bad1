#include "providers/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"

#define CONFLICTS_MAX 6
#define CONFLICT_WAIT_MS 300
#define TOKEN_SPARE_S 60
#define TOKEN_LEAST_S 10
#define HIDDEN "[hidden]"
#define NAME_SHOWN 80 /* characters of a name in a sentence */

void
step_start(
    const struct txt_record *t, struct http_msg_req *req, const char *method)
{
	const struct provider_access *a = t->access;

	http_msg_start(req, method,
	    a->base_url != NULL ? a->base_url : a->provider->base_url);
}

void
step_send_json(struct http_msg_req *req, json_t *stolen)
{
	char *text = json_dumps(stolen, JSON_COMPACT);

	if (text == NULL)
		req->too_long = true;
	else
		http_msg_body(req, "%s", text);
	http_msg_header(req, "Content-Type: application/json");
	mem_wipe_free(text);
	json_decref(stolen);
}

json_t *
step_json(const struct http_msg_res *res)
{
	return json_loadb(res->body, res->len, 0, NULL);
}

json_t *
step_accepted(
    const struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	json_t *json = step_json(res);

	if (json == NULL)
		err_set(e, ERR_AGAIN,
		    "%s answered %d with something that is no JSON",
		    t->access->provider->name, res->status);
	return json;
}

void
step_wipe_json(json_t *json)
{
	const char *key;
	json_t *v;
	size_t i;

	if (json == NULL)
		return;
	json_object_foreach (json, key, v)
		step_wipe_json(json_incref(v));
	json_array_foreach (json, i, v)
		step_wipe_json(json_incref(v));
	/* Nobody else has it; jansson only lends it for reading. */
	if (json_is_string(json))
		mem_wipe((void *)(uintptr_t)json_string_value(json),
		    json_string_length(json));
	json_decref(json);
}

/* Replace a secret wherever it stands. */
static void
hide(struct buf *b, const char *secret)
{
	size_t len = secret != NULL ? strlen(secret) : 0;
	struct buf out;
	const char *at, *from;

	if (len < 4 || strstr(b->p, secret) == NULL)
		return;
	buf_init(&out, 2 * b->cap);
	for (from = b->p; (at = strstr(from, secret)) != NULL;
	     from = at + len) {
		if (buf_put(&out, from, (size_t)(at - from)) == -1 ||
		    buf_puts(&out, HIDDEN) == -1)
			break;
	}
	if (at == NULL)
		buf_puts(&out, from);
	buf_wipe(b);
	*b = out;
}

/* The provider's words on one line, without our secrets, cut to fit. */
static void
quote_said(const struct txt_record *t, const char *said,
    char dst[static STEP_SAID_MAX])
{
	const struct provider *p = t->access->provider;
	struct buf b;
	size_t len = strlen(said);

	/* What is hidden must be whole: the cut comes afterwards. */
	buf_init(&b, 16384);
	buf_put(&b, said, len < b.cap ? len : b.cap);
	for (size_t i = 0; i < p->nsettings; i++)
		if (!p->setting[i].plain)
			hide(&b, t->access->credential[i]);
	hide(&b, t->access->token);
	str_printable(dst, STEP_SAID_MAX, b.p, b.len);
	buf_wipe(&b);
}

/* "A, B and C": the variables that hold the credentials in use. */
static void
name_credentials(const struct txt_record *t, char *dst, size_t size)
{
	const struct provider *p = t->access->provider;
	struct buf b;

	buf_init(&b, 256);
	for (size_t i = 0; i < p->nsettings; i++)
		if (!p->setting[i].plain && t->access->credential[i][0] != '\0')
			buf_putf(&b, "%s%s", b.len > 0 ? ", " : "",
			    p->setting[i].name);
	snprintf(dst, size, "%s", b.p);
	buf_clear(&b);
}

static const char *const intent[PROVIDER_OPS] = {
	[PROVIDER_VERIFY] = "use the account",
	[PROVIDER_FIND] = "find the zone of",
	[PROVIDER_CREATE] = "create the TXT record",
	[PROVIDER_REMOVE] = "remove the TXT record",
};

static int
refused_by_status(
    const struct txt_record *t, int status, const char *said, struct err *e)
{
	const char *name = t->access->provider->name;
	const char *what = intent[t->op];
	const char *fqdn = t->op == PROVIDER_VERIFY ? "" : t->fqdn;
	const char *colon = said[0] != '\0' ? ": " : "";
	const char *space = fqdn[0] != '\0' ? " " : "";
	char vars[128];

	name_credentials(t, vars, sizeof(vars));
	switch (status) {
	case 401:
		return err_set(e, ERR_CONFIG,
		    "%s does not accept the credentials in %s%s%s", name, vars,
		    colon, said);
	case 403:
		return err_set(e, ERR_CONFIG,
		    "%s: the credentials in %s may not %s%s%.*s%s%s", name,
		    vars, what, space, NAME_SHOWN, fqdn, colon, said);
	case 404:
		return err_set(e, ERR_REFUSED,
		    "%s cannot %s%s%.*s: not in this account%s%s", name, what,
		    space, NAME_SHOWN, fqdn, colon, said);
	case 409:
	case 412:
		return err_set(e, ERR_AGAIN,
		    "%s: %.*s was changed by somebody else meanwhile%s%s", name,
		    NAME_SHOWN, t->fqdn, colon, said);
	case 429:
		return err_set(e, ERR_LIMITED,
		    "%s asks to slow down: too many requests%s%s", name, colon,
		    said);
	}
	if (status >= 500)
		return err_set(e, ERR_AGAIN,
		    "%s has a problem of its own, HTTP %d%s%s", name, status,
		    colon, said);
	if (status >= 400)
		return err_set(e, ERR_REFUSED,
		    "%s cannot %s%s%.*s, HTTP %d%s%s", name, what, space,
		    NAME_SHOWN, fqdn, status, colon, said);
	return err_set(e, ERR_BUG, "%s answered HTTP %d, which makes no sense",
	    name, status);
}

int
step_refused(const struct txt_record *t, const struct http_msg_res *res,
    const char *said, struct err *e)
{
	return step_refused_as(t, res->status, res, said, e);
}

int
step_refused_as(const struct txt_record *t, int status,
    const struct http_msg_res *res, const char *said, struct err *e)
{
	char quoted[STEP_SAID_MAX];

	quote_said(t, said, quoted);
	refused_by_status(t, status, quoted, e);
	if (e->kind == ERR_LIMITED || e->kind == ERR_AGAIN)
		e->retry_ms = res->retry_ms;
	return -1;
}

bool
step_below(const char *name, const char *zone)
{
	size_t len = strlen(name), n = strlen(zone);

	if (n == 0 || !str_has_suffix(name, zone))
		return false;
	return len == n || name[len - n - 1] == '.';
}

const char *
step_relative(
    const struct txt_record *t, char dst[static 254], const char *apex)
{
	size_t len = strlen(t->fqdn), n = strlen(t->zone);

	if (len <= n)
		snprintf(dst, 254, "%s", apex);
	else
		snprintf(dst, 254, "%.*s", (int)(len - n - 1), t->fqdn);
	return dst;
}

/*
 * The nth place where the zone may begin: where DNS says, then the name
 * itself and its parents down to two labels.  NULL: there is no such.
 */
static const char *
candidate(const struct txt_record *t, unsigned int n)
{
	bool soa = step_below(t->fqdn, t->soa_zone);
	const char *p = t->fqdn;

	if (soa && n == 0)
		return t->soa_zone;
	n -= soa;
	while (p != NULL && strchr(p, '.') != NULL) {
		if (!(soa && strcmp(p, t->soa_zone) == 0) && n-- == 0)
			return p;
		p = strchr(p, '.') + 1;
	}
	return NULL;
}

int
step_next_zone(struct txt_record *t, struct err *e)
{
	const char *zone = candidate(t, t->candidate++);

	t->page = 1;
	t->cursor[0] = '\0';
	t->zone_id[0] = '\0';
	if (zone != NULL)
		return str_copy(t->zone, sizeof(t->zone), zone, e);
	t->zone[0] = '\0';
	return err_set(e, ERR_REFUSED, "no zone for %.*s in the %s account",
	    NAME_SHOWN, t->fqdn, t->access->provider->name);
}

int
step_not_this_zone(
    struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	char vars[128];

	if (res->status == 403)
		t->conflicts++;
	if (step_next_zone(t, e) == 0)
		return 0;
	if (t->conflicts == 0)
		return -1;
	name_credentials(t, vars, sizeof(vars));
	return err_set(e, ERR_CONFIG,
	    "%s: no zone for %.*s, or the credentials in %s may not read it",
	    t->access->provider->name, NAME_SHOWN, t->fqdn, vars);
}

int
step_conflict(struct txt_record *t, int step, struct err *e)
{
	if (++t->conflicts > CONFLICTS_MAX)
		return err_set(e, ERR_AGAIN,
		    "%s: %.*s is changed by somebody else all the time",
		    t->access->provider->name, NAME_SHOWN, t->fqdn);
	t->step = step;
	t->wait_ms = CONFLICT_WAIT_MS * (int64_t)t->conflicts;
	step_keep_set(t, NULL);
	return 0;
}

bool
step_poll(struct txt_record *t, int64_t wait_ms, int64_t limit_ms)
{
	if (t->polls >= limit_ms / wait_ms)
		return false;
	t->polls++;
	t->wait_ms = wait_ms;
	return true;
}

void
step_keep_set(struct txt_record *t, json_t *stolen)
{
	json_decref(t->set);
	t->set = stolen;
}

void
step_keep_token(struct txt_record *t, const char *token, int64_t expires_in_s)
{
	struct provider_access *a = t->access;

	mem_wipe_free(a->token);
	a->token = xstrdup(token);
	a->until_s = t->now_s + TOKEN_LEAST_S;
	if (expires_in_s > TOKEN_LEAST_S + TOKEN_SPARE_S)
		a->until_s = t->now_s + expires_in_s - TOKEN_SPARE_S;
}
