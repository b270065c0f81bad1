/*
 * The messages HAProxy may send us: a table of name -> what it asks for, and
 * of what the answer becomes as actions of the ACK.
 *
 * Pure: the arguments of a NOTIFY in, a question out; an answer in, actions
 * out.  Who finds the answer is not known here.
 *
 *	http01(host, path, src)   found:     set-var txn keyauth <STRING>
 *	                          not there: nothing
 *	                          unknown:   set-var txn error <UINT32 1>
 */
#ifndef AGENT_MESSAGE_H
#define AGENT_MESSAGE_H

#include "agent/spop.h"

/* Actions of one ACK never need more. */
#define MESSAGE_ACTIONS_MAX 256

struct message;

/* message is NULL when there is nothing to ask: the answer is an empty ACK. */
struct question {
	const struct message *message;
	struct spop_str token; /* checked; points into the frame */
};

enum answer_kind {
	ANSWER_NONE = 0, /* there is no such challenge */
	ANSWER_FOUND,
	ANSWER_ERROR, /* nobody knows: Redis cannot be asked */
	ANSWER_LATER, /* whoever was asked will call back */
};

struct answer {
	enum answer_kind kind;
	const char *keyauth; /* FOUND; borrowed for the call */
	size_t keyauth_len;
};

/*
 * Read the messages of a NOTIFY.  The first one that asks for something is the
 * question: our groups hold one message each.  Messages and arguments that we
 * do not know are skipped.  Return -1 when the payload is malformed.
 */
int message_read(struct spop_in *payload, struct question *);

/* Write the actions that tell HAProxy the answer. */
int message_answer(
    struct spop_out *, const struct message *, const struct answer *);

#endif
