/*
 * Another key for the account (RFC 8555 section 7.3.5).
 *
 * A reply may be lost, so the CA is first asked whether it knows the new key
 * already: whoever begins again after a crash ends in the same way.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "sync/ca_impl.h"

struct roll {
	struct ca *ca;
	struct jose_key *key;
	uint64_t posting;
	ca_roll_fn *fn;
	void *arg;
};

void
ca_roll_cancel(struct ca *ca)
{
	struct roll *r = ca->roll;

	if (r == NULL)
		return;
	ca->roll = NULL;
	ca_cancel(ca, r->posting);
	jose_key_free(r->key);
	free(r);
}

static void
give_up(struct roll *r, enum err_kind kind, const struct err *e)
{
	ca_roll_fn *fn = r->fn;
	void *arg = r->arg;
	struct err why = *e;

	why.kind = kind;
	ca_roll_cancel(r->ca);
	fn(arg, NULL, &why);
}

/* The CA has the new key: from here on it signs. */
static void
rolled(struct roll *r)
{
	struct ca *ca = r->ca;
	ca_roll_fn *fn = r->fn;
	void *arg = r->arg;

	jose_key_free(ca->key);
	ca->key = r->key;
	r->key = NULL;
	ca_roll_cancel(ca);
	fn(arg, ca->kid, NULL);
}

static void
changed(void *arg, const struct reply *reply, const struct err *e)
{
	struct roll *r = arg;
	bool again;

	(void)reply;
	r->posting = 0;
	if (e == NULL) {
		rolled(r);
		return;
	}
	/* Only a problem document says for sure that the old key stays. */
	again = e->type[0] == '\0' || e->kind == ERR_AGAIN ||
	        e->kind == ERR_LIMITED;
	give_up(r, again ? ERR_AGAIN : ERR_REFUSED, e);
}

/* The inner JWS: the new key signs that it wants to follow the old one. */
static json_t *
inner(const struct roll *r, const char *url, struct err *e)
{
	json_t *payload, *jws = NULL;
	struct buf out;
	char *text;

	payload = json_pack("{s:s, s:o}", "account", r->ca->kid, "oldKey",
	    jose_jwk(r->ca->key));
	text = json_dumps(payload, JSON_COMPACT);
	json_decref(payload);
	buf_init(&out, ACME_REQUEST_MAX);
	if (jose_sign(r->key,
		json_pack("{s:s, s:o}", "url", url, "jwk", jose_jwk(r->key)),
		text != NULL ? text : "", &out, e) == 0)
		jws = json_loadb(out.p, out.len, 0, NULL);
	buf_clear(&out);
	free(text);
	return jws;
}

static void
change(struct roll *r)
{
	const char *url = r->ca->directory.url[ACME_KEY_CHANGE];
	struct err e = { 0 };
	json_t *jws;

	if (url == NULL) {
		err_set(&e, ERR_REFUSED, "the CA does not offer keyChange");
		give_up(r, ERR_REFUSED, &e);
	} else if (r->ca->kid == NULL) {
		err_set(&e, ERR_AGAIN, "the account's URL is not known yet");
		give_up(r, ERR_AGAIN, &e);
	} else if ((jws = inner(r, url, &e)) == NULL) {
		give_up(r, ERR_AGAIN, &e);
	} else {
		r->posting = ca_post(r->ca, "keyChange", jws, changed, r);
	}
}

static void
asked(void *arg, const struct reply *reply, const struct err *e)
{
	struct roll *r = arg;

	r->posting = 0;
	if (e == NULL) {
		log_info("ca=%s the account has the new key already",
		    r->ca->conf->acme.directory);
		if (r->ca->kid == NULL)
			ca_set_kid(r->ca, reply->location);
		rolled(r);
	} else if (strcmp(e->type, "accountDoesNotExist") == 0) {
		change(r);
	} else {
		give_up(r, ERR_AGAIN, e);
	}
}

int
ca_roll(struct ca *ca, const char *key_pem, ca_roll_fn *fn, void *arg,
    struct err *e)
{
	struct jose_key *key = jose_key_new(key_pem, e);
	struct roll *r;
	struct call *c;

	if (key == NULL)
		return -1;
	ca_roll_cancel(ca);
	r = xcalloc(1, sizeof(*r));
	r->ca = ca;
	r->key = key;
	r->fn = fn;
	r->arg = arg;
	ca->roll = r;
	c = ca_call_new(
	    ca, "newAccount", json_pack("{s:b}", "onlyReturnExisting", 1));
	c->key = key;
	c->fn = asked;
	c->arg = r;
	r->posting = c->id;
	ca_advance_soon(ca);
	return 0;
}
