/*
 * A connection's bytes, whole or in pieces, through the session.
 *
 * The first byte says how questions are answered and in what pieces bytes
 * come; the rest is what HAProxy says.  Oracles: what we say is well-formed
 * and within its bounds, and as long as the session lives each NOTIFY has its
 * ACK or waits for it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keyauth.h"
#include "agent/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAME_MAX 4096
#define BYTES_MAX 65536
#define KEYAUTH "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.thumb"

static struct session session;
static struct session_notify waiting[SESSION_WAITING_MAX];
static unsigned int nwaiting, nasked, how;
static unsigned int nnotify, nack;

static void
require(int ok)
{
	if (!ok)
		abort();
}

static void
ask(void *arg, const struct session_notify *n, struct spop_str token,
    struct answer *a)
{
	(void)arg;
	require(keyauth_is_token(token.ptr, token.len));
	*a = (struct answer){ (enum answer_kind)(nasked++ * how % 4), KEYAUTH,
		sizeof(KEYAUTH) - 1 };
	if (a->kind == ANSWER_LATER) {
		require(nwaiting < SESSION_WAITING_MAX);
		waiting[nwaiting++] = *n;
	}
}

/* Read back what the session said, by the rules of HAProxy. */
static void
check_said(const uint8_t *from, const uint8_t *to)
{
	struct spop_in in = { from, to };
	enum spop_status why;
	struct spop_frame f;

	while (in.p < in.end) {
		require(spop_get_frame(&in, FRAME_MAX, &f, &why) == 1);
		require(f.flags == SPOP_FIN);
		if (f.type == SPOP_AGENT_ACK) {
			nack++;
			continue;
		}
		require(f.stream_id == 0 && f.frame_id == 0);
		if (f.type == SPOP_AGENT_DISCONNECT)
			require(in.p == in.end);
		else
			require(f.type == SPOP_AGENT_HELLO);
	}
}

/* Count the NOTIFY frames among what the session took. */
static void
count_notify(const uint8_t *from, size_t len)
{
	struct spop_in in = { from, from + len };
	enum spop_status why;
	struct spop_frame f;

	while (spop_get_frame(&in, FRAME_MAX, &f, &why) == 1)
		nnotify += f.type == SPOP_HAPROXY_NOTIFY;
}

static void
answer_one(void)
{
	uint8_t frame[SESSION_FRAME_MAX];
	struct spop_out out = { frame, frame + sizeof(frame) };
	struct answer a = { (enum answer_kind)(how % 3), KEYAUTH,
		sizeof(KEYAUTH) - 1 };
	unsigned int i = how % nwaiting;

	session_answer(&session, &waiting[i], &a, &out);
	waiting[i] = waiting[--nwaiting];
	check_said(frame, out.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t room[SESSION_OUT_MAX(BYTES_MAX)];
	size_t have = 0, used, piece;

	if (size < 1 || size > BYTES_MAX)
		return 0;
	how = data[0];
	piece = how % 16 == 0 ? size : how % 16 * 7;
	data++;
	size--;
	nwaiting = nasked = nnotify = nack = 0;
	session_init(&session, FRAME_MAX, ask, NULL);
	while (session.state != SESSION_OVER && (have < size || nwaiting > 0)) {
		struct spop_out out = { room, NULL };

		have = piece < size - have ? have + piece : size;
		out.end = room + SESSION_OUT_MAX(have);
		used = session_take(&session, data, have, &out);
		require(used <= have);
		if (session.state != SESSION_OVER)
			count_notify(data, used);
		check_said(room, out.p);
		data += used;
		size -= used;
		have -= used;
		if (nwaiting > 0 && (have == size || how & 32))
			answer_one();
		require(session.nwaiting == nwaiting);
		if (session.state != SESSION_OVER)
			require(nnotify == nack + nwaiting);
	}
	return 0;
}
