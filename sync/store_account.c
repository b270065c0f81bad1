/* The CA account in the store: JSON for people, with the key sealed in it. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/b64.h"
#include "common/conf.h"
#include "common/mem.h"
#include "sync/store_call.h"

#define ACCOUNT_MAX (16 * 1024)

void
store_account_key(
    const struct store *s, const char *ca, char key[static KEY_MAX])
{
	char name[256];
	size_t n = 0;

	if (strncmp(ca, "https://", 8) == 0)
		ca += 8;
	for (; *ca != '\0' && n < sizeof(name) - 1; ca++)
		name[n++] = *ca;
	name[n] = '\0';
	store_key(s, KEY_ACCOUNT, key, KEY_MAX, 0, name);
}

static char *
open_account_key(
    const struct call *c, const char *ca, const char *text, struct err *e)
{
	size_t len = strlen(text);
	uint8_t *sealed = xmalloc(len);
	ptrdiff_t n = b64_decode(sealed, text, len);
	struct buf plain;
	char *key = NULL;

	buf_init(&plain, ACCOUNT_MAX);
	if (n == -1)
		err_set(e, ERR_BUG, "the account's key is not base64");
	else if (seal_open(c->store->ring, "account", ca, "", sealed, (size_t)n,
		     &plain, e) == 0)
		key = xmemdup0(plain.p, plain.len);
	buf_wipe(&plain);
	free(sealed);
	return key;
}

static void
got_account(struct call *c, const struct rds_reply *r, const struct err *e)
{
	const char *url = NULL, *sealed = NULL;
	json_t *account = NULL;
	char *key = NULL;
	struct err bad;

	if (e != NULL || r->type != RDS_STRING) {
		c->tell.account(c->arg, "", "", e);
		return;
	}
	account = json_loadb(r->str, r->len, JSON_REJECT_DUPLICATES, NULL);
	if (account == NULL || json_unpack(account, "{s:s, s:s}", "url", &url,
				   "key", &sealed) == -1)
		err_set(&bad, ERR_BUG, "the account in Redis is not ours");
	else
		key = open_account_key(c, c->state, sealed, &bad);
	if (key == NULL)
		c->tell.account(c->arg, "", "", &bad);
	else
		c->tell.account(c->arg, key, url, NULL);
	mem_wipe_free(key);
	json_decref(account);
}

static void
drop_text(struct call *c)
{
	free(c->state);
}

void
store_account(struct store *s, const char *ca, store_account_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	store_account_key(s, ca, key);
	c->tell.account = fn;
	c->state = xstrdup(ca);
	c->drop = drop_text;
	rds_cmd(&cmd, "GET");
	rds_arg(&cmd, key);
	call_send(c, &cmd, got_account);
}

int
store_account_put(struct store *s, const char *ca, const char *key_pem,
    const char *url, store_fn *fn, void *arg, struct err *e)
{
	char key[KEY_MAX], *text, *b64;
	struct buf sealed;
	struct rds_cmd cmd;
	struct call *c;
	json_t *account;

	buf_init(&sealed, ACCOUNT_MAX);
	if (seal(s->ring, "account", ca, "", key_pem, strlen(key_pem), &sealed,
		e) == -1) {
		buf_clear(&sealed);
		return -1;
	}
	b64 = xmalloc(B64_SIZE(sealed.len));
	b64_encode(b64, sealed.p, sealed.len);
	buf_clear(&sealed);
	account = json_pack(
	    "{s:s, s:s, s:s}", "directory", ca, "url", url, "key", b64);
	text = json_dumps(account, JSON_COMPACT);
	json_decref(account);
	free(b64);
	if (text == NULL)
		return err_set(e, ERR_BUG, "the account's URL is not UTF-8");
	store_account_key(s, ca, key);
	c = call_new(s, arg);
	c->tell.done = fn;
	rds_cmd(&cmd, "SET");
	rds_arg(&cmd, key);
	rds_arg(&cmd, text);
	call_send(c, &cmd, call_done);
	free(text);
	return 0;
}
