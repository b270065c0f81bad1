#include "agent/session.h"

#include <assert.h>
#include <string.h>

#include "common/metric.h"

#define VERSION "2.0"

/* What a HAPROXY-HELLO said (section 3.2.4); NULL: it did not. */
struct hello {
	struct spop_str versions;
	struct spop_str capabilities;
	uint64_t frame_size;
	bool has_frame_size;
	bool healthcheck;
};

static void take_frame(
    struct session *, struct spop_frame *, struct spop_out *);
static void take_hello(
    struct session *, struct spop_frame *, struct spop_out *);
static void take_notify(
    struct session *, struct spop_frame *, struct spop_out *);

void
session_init(
    struct session *s, uint32_t frame_max, session_ask_fn *ask, void *arg)
{
	*s = (struct session){
		.frame_max = frame_max, .ask = ask, .arg = arg, .reason = ""
	};
}

void
session_end(struct session *s, enum spop_status status, const char *reason,
    struct spop_out *out)
{
	uint8_t *start;

	if (s->state == SESSION_OVER)
		return;
	s->state = SESSION_OVER;
	s->status = status;
	s->reason = reason;
	start = spop_begin(out, SPOP_AGENT_DISCONNECT, 0, 0);
	spop_put_str(out, "status-code", 11);
	spop_put_uint32(out, status);
	spop_put_str(out, "message", 7);
	spop_put_string(out, reason, strlen(reason));
	spop_end(out, start);
}

size_t
session_take(
    struct session *s, const uint8_t *bytes, size_t len, struct spop_out *out)
{
	struct spop_in in = { bytes, bytes + len };
	struct spop_frame frame;
	enum spop_status why;
	int rc = 1;

	assert((size_t)(out->end - out->p) >= SESSION_OUT_MAX(len));
	while (s->state != SESSION_OVER && s->nwaiting < SESSION_WAITING_MAX) {
		rc = spop_get_frame(&in, s->frame_max, &frame, &why);
		if (rc != 1)
			break;
		take_frame(s, &frame, out);
	}
	if (rc == -1)
		session_end(s, why,
		    why == SPOP_TOO_BIG ? "frame is too big"
					: "frame has no valid header",
		    out);
	return s->state == SESSION_OVER ? len : (size_t)(in.p - bytes);
}

/* What we do not know is skipped, as section 3.2 asks. */
static void
take_frame(struct session *s, struct spop_frame *f, struct spop_out *out)
{
	switch (f->type) {
	case SPOP_UNSET:
	case SPOP_HAPROXY_HELLO:
	case SPOP_HAPROXY_DISCONNECT:
	case SPOP_HAPROXY_NOTIFY:
		break;
	default:
		return;
	}
	/* We never offer fragmentation, so a frame is whole or wrong. */
	if (f->type == SPOP_UNSET || (f->flags & SPOP_FIN) == 0 ||
	    (f->flags & SPOP_ABORT) != 0)
		session_end(
		    s, SPOP_FRAGMENTED, "fragmentation is not supported", out);
	else if (f->type == SPOP_HAPROXY_DISCONNECT)
		session_end(s, SPOP_NORMAL, "goodbye", out);
	else if (f->type == SPOP_HAPROXY_HELLO)
		take_hello(s, f, out);
	else
		take_notify(s, f, out);
}

static int
read_hello(struct spop_in *in, struct hello *h)
{
	struct spop_str name;
	struct spop_data d;

	while (in->p < in->end) {
		if (spop_get_str(in, &name) == -1 ||
		    spop_get_data(in, &d) == -1)
			return -1;
		if (spop_str_is(name, "supported-versions")) {
			if (d.type != SPOP_STRING)
				return -1;
			h->versions = d.str;
		} else if (spop_str_is(name, "max-frame-size")) {
			if (d.type != SPOP_UINT32)
				return -1;
			h->frame_size = d.number;
			h->has_frame_size = true;
		} else if (spop_str_is(name, "capabilities")) {
			if (d.type != SPOP_STRING)
				return -1;
			h->capabilities = d.str;
		} else if (spop_str_is(name, "healthcheck")) {
			if (d.type != SPOP_BOOL)
				return -1;
			h->healthcheck = d.number != 0;
		}
	}
	return 0;
}

/* A peer that speaks 2.x speaks 2.0: each major names its last minor only. */
static bool
has_version(struct spop_str list)
{
	const char *p = list.ptr, *end = list.ptr + list.len;

	while (p < end) {
		while (p < end && (*p == ' ' || *p == ','))
			p++;
		if (end - p >= 3 && memcmp(p, "2.", 2) == 0 && p[2] >= '0' &&
		    p[2] <= '9')
			return true;
		while (p < end && *p != ',')
			p++;
	}
	return false;
}

/* What is wrong with a HELLO, or NULL. */
static const char *
hello_wrong(const struct session *s, struct spop_frame *f, struct hello *h,
    enum spop_status *why)
{
	*why = SPOP_INVALID;
	if (s->state != SESSION_NEW)
		return "second HELLO";
	if (f->stream_id != 0 || f->frame_id != 0)
		return "HELLO belongs to a stream";
	if (read_hello(&f->payload, h) == -1)
		return "malformed HELLO";
	*why = SPOP_NO_VERSION;
	if (h->versions.ptr == NULL)
		return "HELLO without supported-versions";
	*why = SPOP_BAD_VERSION;
	if (!has_version(h->versions))
		return "only version 2.0 is supported";
	*why = SPOP_NO_FRAME_SIZE;
	if (!h->has_frame_size)
		return "HELLO without max-frame-size";
	*why = SPOP_BAD_FRAME_SIZE;
	if (h->frame_size < SPOP_FRAME_MIN || h->frame_size > UINT32_MAX)
		return "max-frame-size must be at least 256";
	*why = SPOP_NO_CAPABILITIES;
	if (h->capabilities.ptr == NULL)
		return "HELLO without capabilities";
	return NULL;
}

/*
 * "pipelining" and nothing else: with "async" HAProxy <= 3.0 would take ACKs
 * from any connection, with "fragmentation" it would send parts.
 */
static void
take_hello(struct session *s, struct spop_frame *f, struct spop_out *out)
{
	struct hello h = { .healthcheck = false };
	enum spop_status why;
	const char *wrong = hello_wrong(s, f, &h, &why);
	uint8_t *start;

	if (wrong != NULL) {
		session_end(s, why, wrong, out);
		return;
	}
	if (h.frame_size < s->frame_max)
		s->frame_max = (uint32_t)h.frame_size;
	start = spop_begin(out, SPOP_AGENT_HELLO, 0, 0);
	spop_put_str(out, "version", 7);
	spop_put_string(out, VERSION, strlen(VERSION));
	spop_put_str(out, "max-frame-size", 14);
	spop_put_uint32(out, s->frame_max);
	spop_put_str(out, "capabilities", 12);
	spop_put_string(out, "pipelining", 10);
	spop_end(out, start);
	s->state = SESSION_OPEN;
	if (h.healthcheck) {
		s->state = SESSION_OVER;
		s->status = SPOP_NORMAL;
		s->reason = "health check";
	}
}

/* Every NOTIFY gets its ACK, an empty one when there is nothing to say. */
static void
put_ack(const struct session_notify *n, const struct answer *a,
    struct spop_out *out)
{
	uint8_t *start =
	    spop_begin(out, SPOP_AGENT_ACK, n->stream_id, n->frame_id);

	if (n->message != NULL) {
		message_answer(out, n->message, a);
		metric_count(METRIC_SPOP_REQUESTS,
		    a->kind == ANSWER_FOUND   ? METRIC_SPOP_FOUND
		    : a->kind == ANSWER_ERROR ? METRIC_SPOP_ERROR
					      : METRIC_SPOP_NONE,
		    0);
	}
	spop_end(out, start);
}

static void
take_notify(struct session *s, struct spop_frame *f, struct spop_out *out)
{
	struct answer a = { .kind = ANSWER_NONE };
	struct session_notify n;
	struct question q;

	if (s->state == SESSION_NEW) {
		session_end(s, SPOP_INVALID, "NOTIFY before HELLO", out);
		return;
	}
	if (message_read(&f->payload, &q) == -1) {
		session_end(s, SPOP_INVALID, "malformed NOTIFY", out);
		return;
	}
	n.message = q.message;
	n.stream_id = f->stream_id;
	n.frame_id = f->frame_id;
	if (q.message != NULL)
		s->ask(s->arg, &n, q.token, &a);
	if (a.kind == ANSWER_LATER)
		s->nwaiting++;
	else
		put_ack(&n, &a, out);
}

void
session_answer(struct session *s, const struct session_notify *n,
    const struct answer *a, struct spop_out *out)
{
	s->nwaiting--;
	if (s->state == SESSION_OPEN)
		put_ack(n, a, out);
}
