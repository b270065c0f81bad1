/*
 * API tokens: who may do what.  A token is 160 random bits; what is kept is its
 * SHA-256 with a record: { name, role, apps, created_at, expires_at }.  Pure:
 * no I/O, the time is passed in.
 */
#ifndef SYNC_API_TOKEN_H
#define SYNC_API_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "common/err.h"

/* What a token may; each may also what those after it may. */
enum token_role {
	TOKEN_ADMIN = 0, /* tokens, the CA account, the fleet */
	TOKEN_OPERATE,   /* change domains */
	TOKEN_READ,
	/* must stay last */
	TOKEN_NONE /* of a route: asked without any token */
};

#define TOKEN_SIZE 32      /* "cft_", 27 characters, NUL */
#define TOKEN_HASH_SIZE 65 /* hexadecimal */
#define TOKEN_ID_SIZE 17   /* the hash's beginning: for people */
#define TOKEN_NAME_MAX 64
#define TOKEN_APPS_MAX 64
#define TOKEN_DAYS_MAX 3650

struct token {
	char hash[TOKEN_HASH_SIZE];
	char name[TOKEN_NAME_MAX];
	enum token_role role;
	json_t *apps;                   /* names; NULL: all */
	int64_t created_at, expires_at; /* wall ms; expires_at 0: never */
};
void token_clear(struct token *);

/* A new one.  The caller wipes it. */
void token_make(char text[static TOKEN_SIZE]);

/* True when text has the form of a token. */
bool token_is(const char *text);

void token_hash(const char *text, char hash[static TOKEN_HASH_SIZE]);
void token_id(const struct token *, char id[static TOKEN_ID_SIZE]);

/* The record as it is kept; the caller frees it. */
char *token_pack(const struct token *);

/* Fill in from hash and record; what cannot be is ERR_BUG. */
int token_unpack(
    struct token *, const char *hash, const char *record, struct err *);

/* For people: { id, name, role, apps, created_at, expires_at, expired }. */
json_t *token_show(const struct token *, int64_t now);

/*
 * What is asked of a new one: name, role ("read"), apps (all), days (90; 0: for
 * ever).  Complaints go into errors; -1 when there is any.
 */
int token_ask(json_t *body, int64_t now, struct token *, json_t *errors);

bool token_expired(const struct token *, int64_t now);
bool token_may(const struct token *, enum token_role least);
bool token_owns(const struct token *, const char *app);

const char *token_role_name(enum token_role);

#endif
