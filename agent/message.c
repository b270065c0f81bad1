#include "agent/message.h"

#include <string.h>

#include "agent/keyauth.h"

#define HTTP01_PATH "/.well-known/acme-challenge/"

struct message {
	const char *name;
	/* Read the arguments; set q->message when they ask for something. */
	int (*read)(struct spop_in *, uint8_t nargs, struct question *q);
	int (*answer)(struct spop_out *, const struct answer *);
};

static int http01_read(struct spop_in *, uint8_t, struct question *);
static int http01_answer(struct spop_out *, const struct answer *);

static const struct message messages[] = {
	{ "http01", http01_read, http01_answer },
};
#define NMESSAGES (sizeof(messages) / sizeof(messages[0]))

static int
skip_args(struct spop_in *in, uint8_t nargs)
{
	struct spop_str name;
	struct spop_data value;

	while (nargs-- > 0)
		if (spop_get_str(in, &name) == -1 ||
		    spop_get_data(in, &value) == -1)
			return -1;
	return 0;
}

static const struct message *
find(struct spop_str name)
{
	for (size_t i = 0; i < NMESSAGES; i++)
		if (spop_str_is(name, messages[i].name))
			return &messages[i];
	return NULL;
}

int
message_read(struct spop_in *in, struct question *q)
{
	const struct message *m;
	struct spop_str name;
	uint8_t nargs;

	q->message = NULL;
	while (in->p < in->end) {
		if (spop_get_str(in, &name) == -1 || in->p == in->end)
			return -1;
		nargs = *in->p++;
		m = q->message == NULL ? find(name) : NULL;
		if (m == NULL) {
			if (skip_args(in, nargs) == -1)
				return -1;
		} else if (m->read(in, nargs, q) == -1) {
			return -1;
		}
	}
	return 0;
}

int
message_answer(
    struct spop_out *out, const struct message *m, const struct answer *a)
{
	return m->answer(out, a);
}

/*
 * The token is checked before anything else happens with it.  A path with
 * anything behind the token, a query's remains or "..", names none.
 */
static void
http01_path(struct spop_str path, struct question *q)
{
	const size_t prefix = sizeof(HTTP01_PATH) - 1;

	if (path.len <= prefix || memcmp(path.ptr, HTTP01_PATH, prefix) != 0)
		return;
	if (!keyauth_is_token(path.ptr + prefix, path.len - prefix))
		return;
	q->message = &messages[0];
	q->token.ptr = path.ptr + prefix;
	q->token.len = path.len - prefix;
}

/*
 * host and src are for those who read HAProxy's logs: a challenge belongs to
 * the account, and the token alone names it.
 */
static int
http01_read(struct spop_in *in, uint8_t nargs, struct question *q)
{
	struct spop_str name;
	struct spop_data value;

	while (nargs-- > 0) {
		if (spop_get_str(in, &name) == -1 ||
		    spop_get_data(in, &value) == -1)
			return -1;
		/* A path that HAProxy could not fetch arrives as NULL. */
		if (spop_str_is(name, "path") && value.type == SPOP_STRING)
			http01_path(value.str, q);
	}
	return 0;
}

static int
http01_answer(struct spop_out *out, const struct answer *a)
{
	switch (a->kind) {
	case ANSWER_FOUND:
		if (spop_put_set_var(out, SPOP_SCOPE_TRANSACTION, "keyauth") ==
		    -1)
			return -1;
		return spop_put_string(out, a->keyauth, a->keyauth_len);
	case ANSWER_ERROR:
		if (spop_put_set_var(out, SPOP_SCOPE_TRANSACTION, "error") ==
		    -1)
			return -1;
		return spop_put_uint32(out, 1);
	case ANSWER_NONE:
	case ANSWER_LATER:
		break;
	}
	return 0;
}
