#include "sync/store_token.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/store_call.h"

#define AUDIT_MAX 10000
#define SEALED_MAX (STORE_TOKEN_KEY_LEN + SEAL_OVERHEAD)

static const char *
tokens_key(const struct store *s, char key[static KEY_MAX])
{
	return store_key(s, KEY_TOKENS, key, KEY_MAX, 0, NULL);
}

static void
got_token(struct call *c, const struct rds_reply *r, const struct err *e)
{
	c->tell.token(
	    c->arg, e == NULL && r->type == RDS_STRING ? r->str : NULL, e);
}

void
store_token(struct store *s, const char *hash, store_token_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.token = fn;
	rds_cmd(&cmd, "HGET");
	rds_arg(&cmd, tokens_key(s, key));
	rds_arg(&cmd, hash);
	call_send(c, &cmd, got_token);
}

void
store_tokens(struct store *s, store_names_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.names = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, tokens_key(s, key));
	call_send(c, &cmd, call_names);
}

/* The hash and the record, while their number is asked for. */
struct addition {
	char *hash, *record;
};

static void
drop_addition(struct call *c)
{
	struct addition *a = c->state;

	free(a->hash);
	free(a->record);
	free(a);
}

static void
got_count(struct call *c, const struct rds_reply *r, const struct err *e)
{
	const struct addition *a = c->state;
	char key[KEY_MAX];
	struct rds_cmd cmd;

	if (e != NULL || reply_int(r) >= STORE_TOKENS_MAX) {
		c->tell.yes(c->arg, false, e);
		return;
	}
	rds_cmd(&cmd, "HSETNX");
	rds_arg(&cmd, tokens_key(c->store, key));
	rds_arg(&cmd, a->hash);
	rds_arg(&cmd, a->record);
	call_send(c, &cmd, call_yes);
}

void
store_token_add(struct store *s, const char *hash, const char *record,
    store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct addition *a = xcalloc(1, sizeof(*a));
	char key[KEY_MAX];
	struct rds_cmd cmd;

	a->hash = xstrdup(hash);
	a->record = xstrdup(record);
	c->state = a;
	c->drop = drop_addition;
	c->tell.yes = fn;
	rds_cmd(&cmd, "HLEN");
	rds_arg(&cmd, tokens_key(s, key));
	call_send(c, &cmd, got_count);
}

void
store_token_remove(
    struct store *s, const char *hash, store_yes_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.yes = fn;
	rds_cmd(&cmd, "HDEL");
	rds_arg(&cmd, tokens_key(s, key));
	rds_arg(&cmd, hash);
	call_send(c, &cmd, call_yes);
}

/* --- the key for passes ------------------------------------------------------ */

static void got_key(
    struct call *, const struct rds_reply *, const struct err *);

static void
ask_key(struct call *c)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "GET");
	rds_arg(
	    &cmd, store_key(c->store, KEY_TOKENKEY, key, sizeof(key), 0, NULL));
	call_send(c, &cmd, got_key);
}

static void
key_made(struct call *c, const struct rds_reply *r, const struct err *e)
{
	(void)r;
	if (e != NULL)
		c->tell.token_key(c->arg, NULL, e);
	else
		ask_key(c); /* another node's may have come first */
}

static int
make_key(struct call *c, struct err *e)
{
	uint8_t fresh[STORE_TOKEN_KEY_LEN];
	struct buf sealed;
	char key[KEY_MAX];
	struct rds_cmd cmd;
	int rc = -1;

	buf_init(&sealed, SEALED_MAX);
	if (RAND_bytes(fresh, sizeof(fresh)) != 1)
		err_set(e, ERR_BUG, "no random bytes for the key of passes");
	else
		rc = seal(c->store->ring, "tokens", "passes", "", fresh,
		    sizeof(fresh), &sealed, e);
	if (rc == 0) {
		rds_cmd(&cmd, "SETNX");
		rds_arg(&cmd, store_key(c->store, KEY_TOKENKEY, key,
				  sizeof(key), 0, NULL));
		rds_arg_mem(&cmd, sealed.p, sealed.len);
		call_send(c, &cmd, key_made);
	}
	buf_clear(&sealed);
	mem_wipe(fresh, sizeof(fresh));
	return rc;
}

static void
got_key(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct buf plain;
	struct err bad;
	int rc;

	if (e != NULL) {
		c->tell.token_key(c->arg, NULL, e);
		return;
	}
	if (r->type != RDS_STRING) {
		if (make_key(c, &bad) == -1)
			c->tell.token_key(c->arg, NULL, &bad);
		return;
	}
	buf_init(&plain, STORE_TOKEN_KEY_LEN);
	rc = seal_open(c->store->ring, "tokens", "passes", "", r->str, r->len,
	    &plain, &bad);
	if (rc == 0 && plain.len != STORE_TOKEN_KEY_LEN)
		rc = err_set(&bad, ERR_BUG, "the key of passes is too short");
	c->tell.token_key(c->arg, rc == 0 ? (const uint8_t *)plain.p : NULL,
	    rc == 0 ? NULL : &bad);
	buf_wipe(&plain);
}

void
store_token_key(struct store *s, store_token_key_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);

	c->tell.token_key = fn;
	ask_key(c);
}

/* --- who did what ------------------------------------------------------------ */

void
store_audit(struct store *s, const char *const *field, size_t npairs)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "XADD");
	rds_arg(&cmd, store_key(s, KEY_AUDIT, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, "MAXLEN");
	rds_arg(&cmd, "~");
	rds_arg_int(&cmd, AUDIT_MAX);
	rds_arg(&cmd, "*");
	rds_arg(&cmd, "at");
	rds_arg_int(&cmd, loop_wall_ms());
	for (size_t i = 0; i < 2 * npairs; i++)
		rds_arg(&cmd, field[i]);
	call_forget(s, &cmd);
}

void
store_audited(struct store *s, int n, store_events_fn *fn, void *arg)
{
	char key[KEY_MAX];

	call_range(
	    s, store_key(s, KEY_AUDIT, key, sizeof(key), 0, NULL), n, fn, arg);
}
