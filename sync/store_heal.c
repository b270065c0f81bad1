/* Offers of what was lost, and taking them: see sync/store_heal.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/store_call.h"
#include "sync/store_heal.h"

#define NUMBER_MAX 24

static void
offers_key(const struct store *s, const char *node, char key[static KEY_MAX])
{
	store_key(s, KEY_OFFERS, key, KEY_MAX, 0, node);
}

static void
expire(struct store *s, const char *key)
{
	struct rds_cmd cmd;

	rds_cmd(&cmd, "PEXPIRE");
	rds_arg(&cmd, key);
	rds_arg_int(&cmd, s->conf->fleet.node_ttl_ms);
	call_forget(s, &cmd);
}

/* A field is name and since, so that one reply has it all: "name 1764...". */
void
store_offer(struct store *s, const char *node, const struct store_offer *offer,
    size_t n, store_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX],
	    field[STORE_OFFERS_MAX][DOMAIN_NAME_MAX + NUMBER_MAX];
	struct rds_cmd cmd;

	offers_key(s, node, key);
	rds_cmd(&cmd, "DEL");
	rds_arg(&cmd, key);
	c->tell.done = fn;
	if (n == 0) {
		call_send(c, &cmd, call_done);
		return;
	}
	call_forget(s, &cmd);
	rds_cmd(&cmd, "HSET");
	rds_arg(&cmd, key);
	for (size_t i = 0; i < n && i < STORE_OFFERS_MAX; i++) {
		snprintf(field[i], sizeof(field[i]), "%s %lld", offer[i].name,
		    (long long)offer[i].since);
		rds_arg(&cmd, field[i]);
		rds_arg_mem(&cmd, offer[i].bundle, offer[i].len);
	}
	call_send(c, &cmd, call_done);
	expire(s, key);
}

/* Cut the field in two; false when it is none of ours. */
static bool
read_field(char *field, struct store_offer *o)
{
	char clean[DOMAIN_NAME_MAX], *space = strchr(field, ' ');
	struct err e;

	if (space == NULL || str_int(space + 1, 0, INT64_MAX, &o->since) == -1)
		return false;
	*space = '\0';
	o->name = field;
	return domain_normalise(field, clean, &e) == 0 &&
	       strcmp(clean, field) == 0;
}

static void
got_offers(struct call *c, const struct rds_reply *r, const struct err *e)
{
	struct store_offer *offer;
	size_t pairs = e == NULL ? r->nitems / 2 : 0, n = 0;
	char **field;

	if (e != NULL) {
		c->tell.offers(c->arg, NULL, 0, e);
		return;
	}
	offer = xcalloc(pairs + 1, sizeof(*offer));
	field = xcalloc(pairs + 1, sizeof(*field));
	for (size_t i = 0; i < pairs; i++) {
		field[i] = xstrdup(r->item[2 * i].str);
		offer[n].bundle = r->item[2 * i + 1].str;
		offer[n].len = r->item[2 * i + 1].len;
		n += read_field(field[i], &offer[n]);
	}
	c->tell.offers(c->arg, offer, n, NULL);
	for (size_t i = 0; i < pairs; i++)
		free(field[i]);
	free(field);
	free(offer);
}

void
store_offers(struct store *s, const char *node, store_offers_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	offers_key(s, node, key);
	c->tell.offers = fn;
	rds_cmd(&cmd, "HGETALL");
	rds_arg(&cmd, key);
	call_send(c, &cmd, got_offers);
}

/* Whatever was offered meanwhile is offered again. */
void
store_offers_done(struct store *s, const char *node)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	offers_key(s, node, key);
	rds_cmd(&cmd, "DEL");
	rds_arg(&cmd, key);
	call_forget(s, &cmd);
}

void
store_muster(struct store *s, int64_t number)
{
	char key[KEY_MAX];
	struct rds_cmd cmd;

	rds_cmd(&cmd, "XADD");
	rds_arg(&cmd, store_key(s, KEY_EVENTS, key, sizeof(key), 0, NULL));
	rds_arg(&cmd, "*");
	rds_arg(&cmd, "type");
	rds_arg(&cmd, "muster");
	rds_arg(&cmd, "number");
	rds_arg_int(&cmd, number);
	rds_arg(&cmd, "at");
	rds_arg_int(&cmd, loop_wall_ms());
	call_forget(s, &cmd);
}

/* "master", its offset, and of each replica address, port and offset. */
static void
got_role(struct call *c, const struct rds_reply *r, const struct err *e)
{
	int64_t acked[STORE_REPLICAS_MAX];
	const struct rds_reply *list;
	struct err bad;
	size_t n = 0;

	if (e == NULL && (r->type != RDS_ARRAY || r->nitems < 3 ||
			     r->item[2].type != RDS_ARRAY)) {
		err_set(&bad, ERR_AGAIN, "it is no master");
		e = &bad;
	}
	if (e != NULL) {
		c->tell.role(c->arg, 0, NULL, 0, e);
		return;
	}
	list = &r->item[2];
	for (size_t i = 0; i < list->nitems && n < STORE_REPLICAS_MAX; i++)
		if (list->item[i].nitems == 3)
			acked[n++] = reply_int(&list->item[i].item[2]);
	c->tell.role(c->arg, reply_int(&r->item[1]), acked, n, NULL);
}

void
store_role(struct store *s, int partition, store_role_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	char key[KEY_MAX];
	struct rds_cmd cmd;

	c->tell.role = fn;
	rds_cmd(&cmd, "ROLE");
	cmd.at = store_key(s, KEY_GEN, key, sizeof(key), partition, NULL);
	call_send(c, &cmd, got_role);
}

static void
got_restored(struct call *c, const struct rds_reply *r, const struct err *e)
{
	int64_t what = 0;

	if (e == NULL && r->type == RDS_ARRAY && r->nitems == 3)
		what = reply_int(&r->item[0]);
	c->tell.restore(c->arg,
	    what == 1   ? STORE_RESTORED
	    : what == 2 ? STORE_HAS_IT
			: STORE_NOT_WANTED,
	    what > 0 ? reply_int(&r->item[2]) : 0, e);
}

static void
put(struct rds_cmd *cmd, const char *field, const char *value)
{
	rds_arg(cmd, field);
	rds_arg(cmd, value);
}

static void
put_int(struct rds_cmd *cmd, const char *field, int64_t value)
{
	rds_arg(cmd, field);
	rds_arg_int(cmd, value);
}

static void
put_custom(struct rds_cmd *cmd, const struct domain *d)
{
	put(cmd, "custom_sha1", d->custom_sha1);
	put(cmd, "custom_serial", d->custom_serial);
	put(cmd, "custom_issuer", d->custom_issuer);
	put(cmd, "custom_subject", d->custom_subject);
	put(cmd, "custom_key", d->custom_key);
	put(cmd, "custom_note", d->custom_note);
	put_int(cmd, "custom_not_before", d->custom_not_before);
	put_int(cmd, "custom_not_after", d->custom_not_after);
}

static void
put_managed(struct rds_cmd *cmd, const struct domain *d)
{
	put(cmd, "sha1", d->sha1);
	put(cmd, "serial", d->serial);
	put(cmd, "issuer", d->issuer);
	put(cmd, "ca", d->ca);
	put(cmd, "ari_id", d->ari_id);
	put(cmd, "ari_id_second", d->ari_id_second);
	put(cmd, "last_error", "");
	put_int(cmd, "not_before", d->not_before);
	put_int(cmd, "not_after", d->not_after);
	put_int(cmd, "renew_at", d->renew_at);
	put_int(cmd, "ari_poll_at", d->ari_poll_at);
	put_int(cmd, "attempts", 0);
}

void
store_restore(struct store *s, const struct domain *d, bool custom,
    const struct store_offer *o, store_restore_fn *fn, void *arg)
{
	struct call *c = call_new(s, arg);
	struct domain_keys k;
	struct rds_cmd cmd;

	app_add(s, d->app, d->name);
	domain_keys(s, d->name, &k);
	c->tell.restore = fn;
	call_keys(&cmd, "certfleet_restore",
	    (const char *const[]){ k.domain, k.custom, k.cert, k.due, k.index,
		k.gen, k.events, k.removed, k.timeline, k.order, NULL });
	rds_arg_int(&cmd, d->epoch);
	rds_arg(&cmd, d->name);
	rds_arg(&cmd, custom ? "custom" : "managed");
	rds_arg(&cmd, custom ? d->custom_sha1 : d->sha1);
	rds_arg_int(&cmd, custom ? d->custom_not_after : d->not_after);
	rds_arg_int(&cmd, o->since);
	rds_arg_mem(&cmd, o->bundle, o->len);
	rds_arg(&cmd, "4"); /* fields of a domain that was lost, too */
	put(&cmd, "app", d->app);
	put(&cmd, "letsencrypt", d->letsencrypt ? "1" : "0");
	put(&cmd, "canonical", d->canonical ? "1" : "0");
	put_int(&cmd, "created_at", d->created_at);
	if (custom)
		put_custom(&cmd, d);
	else
		put_managed(&cmd, d);
	call_send(c, &cmd, got_restored);
}
