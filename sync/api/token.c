#include "sync/api/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/b64.h"
#include "common/domain.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/api/json.h"

#define PREFIX "cft_"
#define BYTES 20 /* 160 bits */
#define DAY_MS 86400000
#define DAYS 90

static const char *const roles[] = { "admin", "operate", "read" };
#define NROLES ((int)(sizeof(roles) / sizeof(roles[0])))

void
token_clear(struct token *t)
{
	json_decref(t->apps);
	*t = (struct token){ 0 };
}

void
token_make(char text[static TOKEN_SIZE])
{
	uint8_t bytes[BYTES];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		abort();
	memcpy(text, PREFIX, strlen(PREFIX));
	b64url_encode(text + strlen(PREFIX), bytes, sizeof(bytes));
	mem_wipe(bytes, sizeof(bytes));
}

bool
token_is(const char *text)
{
	return strlen(text) == TOKEN_SIZE - 1 && str_has_prefix(text, PREFIX) &&
	       str_only(text + strlen(PREFIX), TOKEN_SIZE - 1 - strlen(PREFIX),
		   B64URL_CHARS);
}

void
token_hash(const char *text, char hash[static TOKEN_HASH_SIZE])
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (EVP_Digest(text, strlen(text), sum, &len, EVP_sha256(), NULL) != 1)
		abort();
	str_hex(hash, sum, len);
}

void
token_id(const struct token *t, char id[static TOKEN_ID_SIZE])
{
	memcpy(id, t->hash, TOKEN_ID_SIZE - 1);
	id[TOKEN_ID_SIZE - 1] = '\0';
}

const char *
token_role_name(enum token_role role)
{
	return (int)role < NROLES ? roles[role] : "none";
}

static int
role_parse(const char *text, enum token_role *role)
{
	for (int i = 0; text != NULL && i < NROLES; i++)
		if (strcmp(roles[i], text) == 0) {
			*role = (enum token_role)i;
			return 0;
		}
	return -1;
}

char *
token_pack(const struct token *t)
{
	json_t *o = json_pack("{s:s, s:s, s:O?, s:I, s:I}", "name", t->name,
	    "role", token_role_name(t->role), "apps", t->apps, "created_at",
	    (json_int_t)t->created_at, "expires_at", (json_int_t)t->expires_at);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

/* A list of apps, or NULL; true when it is as it should be. */
static bool
take_apps(json_t *list, json_t **apps)
{
	struct err unused;
	json_t *app;
	size_t i;

	*apps = NULL;
	if (list == NULL || json_is_null(list))
		return true;
	if (!json_is_array(list) || json_array_size(list) == 0 ||
	    json_array_size(list) > TOKEN_APPS_MAX)
		return false;
	json_array_foreach (list, i, app)
		if (!json_is_string(app) ||
		    domain_app_check(json_string_value(app), &unused) == -1)
			return false;
	*apps = json_incref(list);
	return true;
}

int
token_unpack(
    struct token *t, const char *hash, const char *record, struct err *e)
{
	json_t *o = json_loads(record, JSON_REJECT_DUPLICATES, NULL);
	json_t *apps = json_object_get(o, "apps");
	json_int_t created, expires;
	const char *name, *role;
	int rc = -1;

	*t = (struct token){ 0 };
	/* Without the list of apps it would be for all: it must be there. */
	if (json_unpack(o, "{s:s, s:s, s:I, s:I}", "name", &name, "role", &role,
		"created_at", &created, "expires_at", &expires) == 0 &&
	    str_copy(t->hash, sizeof(t->hash), hash, e) == 0 &&
	    str_copy(t->name, sizeof(t->name), name, e) == 0 &&
	    role_parse(role, &t->role) == 0 && apps != NULL &&
	    take_apps(apps, &t->apps)) {
		t->created_at = created;
		t->expires_at = expires;
		rc = 0;
	}
	json_decref(o);
	if (rc == -1) {
		token_clear(t);
		err_set(e, ERR_BUG, "a token's record in Redis is not ours");
	}
	return rc;
}

json_t *
token_show(const struct token *t, int64_t now)
{
	char id[TOKEN_ID_SIZE];

	token_id(t, id);
	return json_pack("{s:s, s:s, s:s, s:O?, s:o, s:o, s:b}", "id", id,
	    "name", t->name, "role", token_role_name(t->role), "apps", t->apps,
	    "created_at", json_time(t->created_at), "expires_at",
	    json_time(t->expires_at), "expired", (int)token_expired(t, now));
}

/* A name people know it by: one line, no surprises in a log. */
static void
ask_name(json_t *v, struct token *t, json_t *errors)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789 ._@-";
	const char *name = json_string_value(v);

	if (name == NULL || name[0] == '\0')
		json_complain(errors, "name", "can't be blank");
	else if (!str_only(name, strlen(name), plain) ||
		 strlen(name) >= sizeof(t->name))
		json_complain(errors, "name",
		    "must be letters, digits, spaces and any of \"._@-\", at "
		    "most %zu",
		    sizeof(t->name) - 1);
	else
		memcpy(t->name, name, strlen(name) + 1);
}

static void
ask_days(json_t *v, int64_t now, struct token *t, json_t *errors)
{
	json_int_t days = v == NULL ? DAYS : json_integer_value(v);

	if ((v != NULL && !json_is_integer(v)) || days < 0 ||
	    days > TOKEN_DAYS_MAX)
		json_complain(errors, "days",
		    "must be a number from 0 (for ever) to %d", TOKEN_DAYS_MAX);
	else
		t->expires_at = days == 0 ? 0 : now + days * DAY_MS;
}

static void
refuse_unknown(json_t *body, json_t *errors)
{
	const char *field;
	json_t *unused;

	json_object_foreach (body, field, unused)
		if (strcmp(field, "name") != 0 && strcmp(field, "role") != 0 &&
		    strcmp(field, "apps") != 0 && strcmp(field, "days") != 0)
			json_complain(errors, field, "is no field of a token");
}

int
token_ask(json_t *body, int64_t now, struct token *t, json_t *errors)
{
	json_t *role = json_object_get(body, "role");

	*t = (struct token){ .role = TOKEN_READ, .created_at = now };
	refuse_unknown(body, errors);
	ask_name(json_object_get(body, "name"), t, errors);
	ask_days(json_object_get(body, "days"), now, t, errors);
	if (role != NULL && role_parse(json_string_value(role), &t->role) == -1)
		json_complain(errors, "role", "must be read, operate or admin");
	if (!take_apps(json_object_get(body, "apps"), &t->apps))
		json_complain(errors, "apps",
		    "must be a list of up to %d names of apps; without it the "
		    "token is for all",
		    TOKEN_APPS_MAX);
	return json_object_size(errors) > 0 ? -1 : 0;
}

bool
token_expired(const struct token *t, int64_t now)
{
	return t->expires_at > 0 && t->expires_at <= now;
}

bool
token_may(const struct token *t, enum token_role least)
{
	return t->role <= least;
}

bool
token_owns(const struct token *t, const char *app)
{
	json_t *one;
	size_t i;

	if (t->apps == NULL)
		return true;
	json_array_foreach (t->apps, i, one)
		if (strcmp(json_string_value(one), app) == 0)
			return true;
	return false;
}
