#include "sync/store_reseal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/store_call.h"

struct place {
	char key[KEY_MAX];
	const char *field; /* of a HASH, or NULL */
};

static void
find_place(
    const struct store *s, enum sealed kind, const char *name, struct place *p)
{
	struct domain_keys k;
	const char *key = NULL, *suffix = "";

	p->field = NULL;
	if (kind < SEALED_OF_DOMAIN)
		domain_keys(s, name, &k);
	switch (kind) {
	case SEALED_CERT:
		key = k.cert;
		break;
	case SEALED_PREVIOUS:
		key = k.cert;
		suffix = KEY_PREVIOUS;
		break;
	case SEALED_NEXT_CERT:
		key = k.cert;
		suffix = KEY_NEXT;
		break;
	case SEALED_CUSTOM:
		key = k.custom;
		break;
	case SEALED_PREVIOUS_CUSTOM:
		key = k.custom;
		suffix = KEY_PREVIOUS;
		break;
	case SEALED_NEXT_CUSTOM:
		key = k.custom;
		suffix = KEY_NEXT;
		break;
	case SEALED_ORDER_KEY:
		key = k.order;
		p->field = "csrkey";
		break;
	case SEALED_ORDER_FIRST:
		key = k.order;
		p->field = "first";
		break;
	case SEALED_ENV:
		store_key(s, KEY_ENV, p->key, KEY_MAX, 0, name);
		return;
	case SEALED_ACCOUNT:
		store_account_key(s, name, p->key);
		return;
	case SEALED_ROLLOVER:
		store_key(s, KEY_ROLLOVER, p->key, KEY_MAX, 0, NULL);
		return;
	case SEALED_TOKEN_KEY:
		store_key(s, KEY_TOKENKEY, p->key, KEY_MAX, 0, NULL);
		return;
	case SEALED_KINDS:
		abort();
	}
	snprintf(p->key, sizeof(p->key), "%.*s%s",
	    (int)(KEY_MAX - 1 - strlen(suffix)), key, suffix);
}

static void
got_sealed(struct call *c, const struct rds_reply *r, const struct err *e)
{
	bool there = e == NULL && r->type == RDS_STRING && r->len > 0;

	c->tell.sealed(c->arg, there ? r->str : NULL, there ? r->len : 0, e);
}

void
store_sealed(struct store *s, enum sealed kind, const char *name,
    store_sealed_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct place p;
	struct rds_cmd cmd;

	find_place(s, kind, name, &p);
	c->tell.sealed = fn;
	rds_cmd(&cmd, p.field != NULL ? "HGET" : "GET");
	rds_arg(&cmd, p.key);
	if (p.field != NULL)
		rds_arg(&cmd, p.field);
	call_send(c, &cmd, got_sealed);
}

void
store_reseal(struct store *s, enum sealed kind, const char *name,
    const void *old, size_t old_len, const void *new, size_t new_len,
    store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct place p;
	struct rds_cmd cmd;

	find_place(s, kind, name, &p);
	c->tell.yes = fn;
	call_function(&cmd, "certfleet_reseal", 1);
	rds_arg(&cmd, p.key);
	rds_arg_mem(&cmd, old, old_len);
	rds_arg_mem(&cmd, new, new_len);
	if (p.field != NULL)
		rds_arg(&cmd, p.field);
	call_send(c, &cmd, call_yes);
}

static void
got_count(struct call *c, const struct rds_reply *r, const struct err *e)
{
	c->tell.gen(c->arg, e == NULL ? r->integer : 0, e);
}

void
store_txt_count(struct store *s, store_gen_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.gen = fn;
	rds_cmd(&cmd, "HLEN");
	rds_arg(&cmd, store_key(s, KEY_TXT, key, sizeof(key), 0, NULL));
	call_send(c, &cmd, got_count);
}

void
store_reseal_note(struct store *s, const char *const *field, size_t nfields)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	store_key(s, KEY_RESEAL, key, sizeof(key), 0, NULL);
	rds_cmd(&cmd, "DEL");
	rds_arg(&cmd, key);
	call_forget(s, &cmd);
	rds_cmd(&cmd, "HSET");
	rds_arg(&cmd, key);
	for (size_t i = 0; i < 2 * nfields; i++)
		rds_arg(&cmd, field[i]);
	call_forget(s, &cmd);
}

static void
got_note(struct call *c, const struct rds_reply *r, const struct err *e)
{
	const char **field;
	size_t n = 0;

	if (e != NULL) {
		c->tell.pairs(c->arg, NULL, 0, e);
		return;
	}
	field = xcalloc(r->nitems + 1, sizeof(*field));
	for (size_t i = 0; i + 1 < r->nitems; i += 2) {
		if (r->item[i].str == NULL || r->item[i + 1].str == NULL)
			continue;
		field[n++] = r->item[i].str;
		field[n++] = r->item[i + 1].str;
	}
	c->tell.pairs(c->arg, field, n / 2, NULL);
	free(field);
}

void
store_reseal_noted(struct store *s, store_pairs_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.pairs = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, store_key(s, KEY_RESEAL, key, sizeof(key), 0, NULL));
	call_send(c, &cmd, got_note);
}

void
store_reseal_ask(struct store *s)
{
	call_event(s, "reseal", NULL);
}
