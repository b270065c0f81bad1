#include "haproxy/deploy.h"

#include <string.h>

#include "common/str.h"
#include "haproxy/command.h"

static const char *const verbs[DEPLOY_OPS] = {
	[DEPLOY_NEW] = "new",
	[DEPLOY_SET] = "set",
	[DEPLOY_COMMIT] = "commit",
	[DEPLOY_ABORT] = "abort",
	[DEPLOY_ADD] = "add to the crt-list",
	[DEPLOY_DEL_ENTRY] = "delete from the crt-list",
	[DEPLOY_DEL] = "del",
	[DEPLOY_SHOW] = "show",
};

static void
step(struct deploy_plan *p, enum deploy_op op, int line)
{
	p->step[p->nsteps++] = (struct deploy_step){ op, line };
}

void
deploy_plan(const struct deploy_have *have, const struct deploy_want *want,
    struct deploy_plan *p)
{
	bool wanted = want->sha1[0] != '\0';
	bool listed = want->filter[0] != '\0';
	int i, keep = -1;

	p->nsteps = 0;
	if (wanted && !have->store)
		step(p, DEPLOY_NEW, 0);
	if (wanted && strcmp(have->sha1, want->sha1) != 0) {
		step(p, DEPLOY_SET, 0);
		step(p, DEPLOY_COMMIT, 0);
		step(p, DEPLOY_ABORT, 0);
	}
	for (i = have->nentries - 1; wanted && i >= 0; i--)
		if (have->entry[i].ours)
			keep = i;
	/* First the right entry, then away with the wrong ones. */
	if (wanted && keep == -1 && listed)
		step(p, DEPLOY_ADD, 0);
	for (i = 0; i < have->nentries; i++)
		if (i != keep && listed)
			step(p, DEPLOY_DEL_ENTRY, have->entry[i].line);
	if (!wanted && have->store)
		step(p, DEPLOY_DEL, 0);
	if (wanted && p->nsteps > 0)
		step(p, DEPLOY_SHOW, 0);
}

void
deploy_entry(struct deploy_have *have, const struct deploy_want *want, int line,
    const char *filters)
{
	have->more = have->nentries == DEPLOY_ENTRIES_MAX;
	if (have->more)
		return;
	have->entry[have->nentries].line = line;
	have->entry[have->nentries].ours = strcmp(filters, want->filter) == 0;
	have->nentries++;
}

int
deploy_commands(const struct deploy_plan *p, const struct deploy_want *want,
    const char *pem, size_t pem_len, int bufsize, struct buf *out,
    struct err *e)
{
	const struct deploy_step *s;
	int rc = 0;

	for (s = p->step; rc == 0 && s < p->step + p->nsteps; s++) {
		switch (s->op) {
		case DEPLOY_SET:
			rc = command_set(
			    out, want->name, pem, pem_len, bufsize, e);
			break;
		case DEPLOY_ADD:
			rc = command_add(
			    out, want->list, want->name, want->filter, e);
			break;
		case DEPLOY_DEL_ENTRY:
			rc = command_del_entry(
			    out, want->list, want->name, s->line, e);
			break;
		case DEPLOY_NEW:
		case DEPLOY_COMMIT:
		case DEPLOY_ABORT:
		case DEPLOY_DEL:
		case DEPLOY_SHOW:
			rc = command_cert(out, verbs[s->op], want->name, e);
			break;
		case DEPLOY_OPS:
			break;
		}
	}
	return rc;
}

/* The line is not known: an entry that has none is deleted by its name. */
static void
added(struct deploy_have *have)
{
	if (have->nentries == DEPLOY_ENTRIES_MAX)
		return;
	have->entry[have->nentries].line = 0;
	have->entry[have->nentries].ours = true;
	have->nentries++;
}

static void
forget_entry(struct deploy_have *have, int line)
{
	int i, kept = 0;

	for (i = 0; i < have->nentries; i++)
		if (have->entry[i].line != line)
			have->entry[kept++] = have->entry[i];
	have->nentries = kept;
}

/* What can be explained better than by HAProxy's own words. */
static const struct {
	enum answer_kind kind;
	enum deploy_result result;
	enum err_kind cure;
	const char *text;
} known[] = {
	{ ANSWER_LOCKED, DEPLOY_LOCKED, ERR_AGAIN,
	    "HAProxy's certificates are locked by another client" },
	{ ANSWER_TRANSACTION_OTHER, DEPLOY_BUSY, ERR_AGAIN,
	    "HAProxy has the transaction of another certificate open" },
	{ ANSWER_EMPTY, DEPLOY_REFUSED, ERR_REFUSED,
	    "too large for HAProxy: its tune.bufsize must be as large as "
	    "haproxy.bufsize says" },
	{ ANSWER_TOO_BIG, DEPLOY_REFUSED, ERR_REFUSED,
	    "too large for HAProxy: its tune.bufsize must be as large as "
	    "haproxy.bufsize says" },
	{ ANSWER_DENIED, DEPLOY_FAILED, ERR_CONFIG,
	    "HAProxy denies it: the stats socket must have \"level admin\"" },
	{ ANSWER_NO_LIST, DEPLOY_FAILED, ERR_CONFIG,
	    "HAProxy has no such crt-list: a bind line must name it" },
};

static enum deploy_result
unexpected(struct deploy_have *have, const struct deploy_want *want,
    const struct deploy_step *s, const struct answer *a, const char *text,
    struct err *e)
{
	char safe[128];
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].kind == a->kind) {
			err_set(e, known[i].cure, "%.150s: %s", want->name,
			    known[i].text);
			return known[i].result;
		}
	str_printable(safe, sizeof(safe), text, strlen(text));
	if (a->kind == ANSWER_BAD_PEM) {
		err_set(e, ERR_REFUSED, "%.90s: HAProxy refuses it: %s",
		    want->name, safe);
		return DEPLOY_REFUSED;
	}
	have->unsure = true;
	err_set(e, ERR_AGAIN, "%.80s: HAProxy says to \"%s\": %s", want->name,
	    verbs[s->op], safe);
	return DEPLOY_FAILED;
}

static enum deploy_result
got_set(struct deploy_have *have, const struct deploy_want *want,
    const struct deploy_step *s, const struct answer *a, const char *text,
    char other[static ANSWER_NAME_MAX], struct err *e)
{
	have->sha1[0] = '\0';
	if (a->kind != ANSWER_CREATED && a->kind != ANSWER_UPDATED)
		return unexpected(have, want, s, a, text, e);
	if (a->kind == ANSWER_CREATED && strcmp(a->name, want->name) == 0)
		return DEPLOY_OK;
	memcpy(other, a->name, ANSWER_NAME_MAX);
	err_set(e, ERR_AGAIN,
	    "HAProxy put a certificate into the open transaction of %.150s",
	    a->name);
	return DEPLOY_MIXED;
}

static enum deploy_result
got_show(struct deploy_have *have, const struct deploy_want *want,
    const struct deploy_step *s, const struct answer *a, const char *text,
    struct err *e)
{
	if (answer_sha1(text, want->name, have->sha1) == -1) {
		have->sha1[0] = '\0';
		return unexpected(have, want, s, a, text, e);
	}
	have->ends = answer_ends(text);
	have->store = true;
	return DEPLOY_OK;
}

/* The answer that means success, and whether it must be about our name. */
static const struct {
	enum answer_kind ok, also;
	bool named;
} expected[DEPLOY_OPS] = {
	[DEPLOY_NEW] = { ANSWER_NEW, ANSWER_EXISTS, true },
	[DEPLOY_COMMIT] = { ANSWER_COMMITTED, ANSWER_COMMITTED, true },
	[DEPLOY_ABORT] = { ANSWER_NO_TRANSACTION, ANSWER_ABORTED, false },
	[DEPLOY_ADD] = { ANSWER_INSERTED, ANSWER_INSERTED, true },
	[DEPLOY_DEL_ENTRY] = { ANSWER_ENTRY_DELETED, ANSWER_MISSING, false },
	[DEPLOY_DEL] = { ANSWER_DELETED, ANSWER_MISSING, false },
};

enum deploy_result
deploy_got(struct deploy_have *have, const struct deploy_want *want,
    const struct deploy_step *s, const char *text,
    char other[static ANSWER_NAME_MAX], struct err *e)
{
	struct answer a;

	answer_parse(text, &a);
	memcpy(other, a.name, ANSWER_NAME_MAX);
	if (s->op == DEPLOY_SET)
		return got_set(have, want, s, &a, text, other, e);
	if (s->op == DEPLOY_SHOW)
		return got_show(have, want, s, &a, text, e);
	/* In use: another bind line names it, so it is somebody else's. */
	if (s->op == DEPLOY_DEL && a.kind == ANSWER_IN_USE)
		a.kind = ANSWER_DELETED;
	if ((a.kind != expected[s->op].ok && a.kind != expected[s->op].also) ||
	    (expected[s->op].named && strcmp(a.name, want->name) != 0))
		return unexpected(have, want, s, &a, text, e);
	if (s->op == DEPLOY_NEW)
		have->store = true;
	else if (s->op == DEPLOY_ADD)
		added(have);
	else if (s->op == DEPLOY_DEL_ENTRY)
		forget_entry(have, s->line);
	else if (s->op == DEPLOY_DEL)
		*have = (struct deploy_have){ 0 };
	return DEPLOY_OK;
}
