/*
 * One connection's protocol: what HAProxy says, what we say.
 *
 * Pure: bytes in, bytes out.  The sockets are conn.c's, the answers come
 * through a hook, so that every frame can be tried in every state by a test
 * or a fuzzer.
 *
 *	NEW --HELLO--> OPEN --DISCONNECT, or an error of theirs--> OVER
 *	 |                                                          ^
 *	 +--health check, DISCONNECT, or an error of theirs --------+
 */
#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H

#include <stddef.h>
#include <stdint.h>

#include "agent/message.h"
#include "agent/spop.h"

enum session_state {
	SESSION_NEW = 0,
	SESSION_OPEN,
	SESSION_OVER, /* the last word is said: what comes is thrown away */
	/* must stay last */
	SESSION_STATES
};

/* NOTIFY frames that may wait for their answer; HAProxy has 20 at most. */
#define SESSION_WAITING_MAX 256

/*
 * Bytes that one frame of ours needs at most, and what session_take() may
 * write for n bytes read: an ACK is never twice its NOTIFY.
 */
#define SESSION_FRAME_MAX 512
#define SESSION_OUT_MAX(n) (2 * (n) + SESSION_FRAME_MAX)

/* A NOTIFY that waits for its answer. */
struct session_notify {
	const struct message *message;
	uint64_t stream_id;
	uint64_t frame_id;
};

/*
 * Find the answer to a question.  For ANSWER_LATER the callee remembers the
 * notify, and calls session_answer() later, once.
 */
typedef void session_ask_fn(void *arg, const struct session_notify *,
    struct spop_str token, struct answer *);

struct session {
	enum session_state state;
	enum spop_status status; /* OVER: why */
	const char *reason;      /* OVER: the same for a person */
	uint32_t frame_max;      /* ours, then what HELLO agreed on */
	unsigned int nwaiting;
	session_ask_fn *ask;
	void *arg;
};

void session_init(
    struct session *, uint32_t frame_max, session_ask_fn *, void *arg);

/*
 * Take the frames that are whole and answer them into out, which has room for
 * SESSION_OUT_MAX of the bytes.  Returns how many bytes were used: the rest is
 * the beginning of a frame, or frames for which too many answers are awaited.
 */
size_t session_take(
    struct session *, const uint8_t *bytes, size_t len, struct spop_out *out);

/* Answer a NOTIFY that waited; out has room for SESSION_FRAME_MAX. */
void session_answer(struct session *, const struct session_notify *,
    const struct answer *, struct spop_out *out);

/* Say DISCONNECT; nothing when the session is over already. */
void session_end(struct session *, enum spop_status, const char *reason,
    struct spop_out *out);

#endif
