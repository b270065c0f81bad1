/*
 * Both ends of SPOP for measuring: a load generator that checks every answer,
 * and a bare agent that computes its answers, as the ceiling.
 *
 *	spop load ADDRESS [-c connections] [-w window] [-n lookups] [-s seconds]
 *	          [-r lookups per second] [-t tokens]
 *	spop echo ADDRESS
 *
 * ADDRESS is unix:/path or 127.0.0.1:port.  Token number i of -t is PREFIX and
 * twelve digits (redis-benchmark's __rand_int__), its thumbprint is
 * THUMBPRINT.  With -r lookups leave on their own schedule, and the time each
 * took counts from when it should have left.  load prints one line of JSON.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/keyauth.h"
#include "agent/message.h"
#include "agent/spop.h"
#include "common/mem.h"
#include "common/str.h"

#define PREFIX "bench-token-of-the-same-length-"
#define DIGITS 12
#define TOKEN_LEN (sizeof(PREFIX) - 1 + DIGITS)
#define THUMBPRINT "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
#define FRAME_MAX 16380
#define WINDOW_MAX 200 /* a stream-id of one byte */
#define BUFFER 65536
#define EVENTS 256

static const uint8_t notify_head[] = "\0\0\0\x7a\x03\0\0\0\x01_\x01\x06http01"
				     "\x03\x04host\x08\x0d"
				     "shop.example.\x04path\x08\x47"
				     "/.well-known/acme-challenge/";
static const uint8_t notify_tail[] = "\x03src\x06\x7f\0\0\x01";
#define NOTIFY_HEAD (sizeof(notify_head) - 1)
#define NOTIFY_LEN (NOTIFY_HEAD + TOKEN_LEN + sizeof(notify_tail) - 1)
#define STREAM_AT 9 /* of a frame: its stream-id */

static const uint8_t ack_head[] = "\0\0\0\x6b\x67\0\0\0\x01_\x01\x01\x03\x02"
				  "\x07keyauth\x08\x57";
#define ACK_HEAD (sizeof(ack_head) - 1)
#define ACK_LEN (ACK_HEAD + TOKEN_LEN + 1 + THUMBPRINT_LEN)

struct slot {
	uint32_t token;
	bool busy;
	int64_t since; /* ns */
};

struct conn {
	int fd;
	unsigned int nbusy;
	struct slot slot[WINDOW_MAX];
	size_t in_len;
	uint8_t in[ACK_LEN]; /* an ACK's beginning */
};

static struct {
	const char *address;
	unsigned int nconns, window, ntokens;
	uint64_t lookups; /* to make; 0: no limit */
	double seconds;
	double rate; /* 0: as fast as answers come */
} opt = { .nconns = 4, .window = 1, .ntokens = 1000, .seconds = 2 };

static uint8_t buffer[BUFFER], out[WINDOW_MAX * 256];
static uint8_t notify[NOTIFY_LEN], ack[ACK_LEN];
static uint32_t next_token;
static uint64_t nsent, nreceived;

/* Times in buckets: 64 for each power of two of nanoseconds. */
#define SUB 64
static uint64_t histogram[40 * SUB];

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
record(int64_t ns)
{
	uint64_t v = ns > SUB ? (uint64_t)ns : SUB;
	unsigned int top = 63 - (unsigned int)__builtin_clzll(v);

	histogram[(top - 6) * SUB + ((v >> (top - 6)) & (SUB - 1))]++;
}

/* Microseconds below which that part of the lookups stayed. */
static double
percentile(double part)
{
	uint64_t want = (uint64_t)((double)nreceived * part), seen = 0;

	for (unsigned int i = 0; i < sizeof(histogram) / sizeof(uint64_t);
	     i++) {
		seen += histogram[i];
		if (seen > want)
			return (double)(((uint64_t)i % SUB + SUB)
					<< (i / SUB)) /
			       1000;
	}
	return 0;
}

static socklen_t
sockaddr_of(const char *address, struct sockaddr_storage *ss)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)ss;
	struct sockaddr_in *sin = (struct sockaddr_in *)ss;
	const char *colon = strrchr(address, ':');
	int64_t port;
	struct err e;

	memset(ss, 0, sizeof(*ss));
	if (str_has_prefix(address, "unix:")) {
		sun->sun_family = AF_UNIX;
		if (str_copy(sun->sun_path, sizeof(sun->sun_path), address + 5,
			&e) == -1)
			errx(1, "%s", e.text);
		return sizeof(*sun);
	}
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (colon == NULL || str_int(colon + 1, 1, 65535, &port) == -1)
		errx(1, "%s: unix:/path or 127.0.0.1:port", address);
	sin->sin_port = htons((uint16_t)port);
	return sizeof(*sin);
}

/* Give up when the peer is gone: the next read says so. */
static void
write_all(int fd, const uint8_t *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n == -1 && errno != EAGAIN)
			return;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

/* --- load ---------------------------------------------------------------- */

static char triples[1000][3]; /* "000" to "999" */

static void
make_triples(void)
{
	for (int i = 0; i < 1000; i++) {
		triples[i][0] = (char)('0' + i / 100);
		triples[i][1] = (char)('0' + i / 10 % 10);
		triples[i][2] = (char)('0' + i % 10);
	}
}

/* The last six of DIGITS: the others stay 0. */
static void
put_digits(uint8_t *p, uint32_t v)
{
	memcpy(p + 6, triples[v / 1000], 3);
	memcpy(p + 9, triples[v % 1000], 3);
}

static void
say_hello(int fd)
{
	static const char *const capabilities = "pipelining";
	uint8_t hello[256];
	struct spop_out o = { hello, hello + sizeof(hello) };
	uint8_t *start = spop_begin(&o, SPOP_HAPROXY_HELLO, 0, 0);
	struct spop_frame f;
	enum spop_status why;
	struct spop_in in;
	ssize_t n;

	spop_put_str(&o, "supported-versions", 18);
	spop_put_string(&o, "2.0", 3);
	spop_put_str(&o, "max-frame-size", 14);
	spop_put_uint32(&o, FRAME_MAX);
	spop_put_str(&o, "capabilities", 12);
	spop_put_string(&o, capabilities, strlen(capabilities));
	spop_end(&o, start);
	write_all(fd, hello, (size_t)(o.p - hello));
	n = read(fd, hello, sizeof(hello));
	in = (struct spop_in){ hello, hello + (n > 0 ? n : 0) };
	if (spop_get_frame(&in, FRAME_MAX, &f, &why) != 1 ||
	    f.type != SPOP_AGENT_HELLO || in.p != in.end)
		errx(1, "no AGENT-HELLO");
}

static void
open_conn(struct conn *c, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_of(opt.address, &ss);
	int one = 1;

	c->fd = socket(ss.ss_family, SOCK_STREAM, 0);
	if (c->fd == -1 || connect(c->fd, (struct sockaddr *)&ss, len) == -1)
		err(1, "%s", opt.address);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	say_hello(c->fd);
	epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static bool
is_done(void)
{
	return opt.lookups > 0 && nsent >= opt.lookups;
}

/* Write a NOTIFY for a free slot. */
static uint8_t *
ask(struct conn *c, unsigned int i, int64_t since, uint8_t *p)
{
	struct slot *s = &c->slot[i];

	s->token = next_token;
	s->since = since;
	s->busy = true;
	c->nbusy++;
	nsent++;
	next_token = next_token + 1 < opt.ntokens ? next_token + 1 : 0;
	put_digits(notify + NOTIFY_HEAD + sizeof(PREFIX) - 1, s->token);
	memcpy(p, notify, NOTIFY_LEN);
	p[STREAM_AT] = (uint8_t)i;
	return p + NOTIFY_LEN;
}

static void
fill(struct conn *c, int64_t now)
{
	uint8_t *p = out;

	for (unsigned int i = 0; i < opt.window && !is_done(); i++)
		if (!c->slot[i].busy)
			p = ask(c, i, now, p);
	write_all(c->fd, out, (size_t)(p - out));
}

/* Check one ACK to the last byte. */
static void
check(struct conn *c, const uint8_t *p, int64_t now)
{
	unsigned int i = p[STREAM_AT];

	if (i >= WINDOW_MAX || !c->slot[i].busy)
		errx(1, "ACK of stream %u, which has no NOTIFY", i);
	put_digits(ack + ACK_HEAD + sizeof(PREFIX) - 1, c->slot[i].token);
	ack[STREAM_AT] = (uint8_t)i;
	if (memcmp(p, ack, ACK_LEN) != 0)
		errx(1, "wrong answer for token %u", c->slot[i].token);
	record(now - c->slot[i].since);
	c->slot[i].busy = false;
	c->nbusy--;
	nreceived++;
}

static void
receive(struct conn *c, int64_t *now)
{
	uint8_t *p = buffer, *end;
	ssize_t n;

	memcpy(buffer, c->in, c->in_len);
	n = read(c->fd, buffer + c->in_len, BUFFER - c->in_len);
	if (n <= 0)
		errx(1, "the agent closed the connection");
	*now = now_ns();
	end = buffer + c->in_len + n;
	for (; end - p >= (ptrdiff_t)ACK_LEN; p += ACK_LEN)
		check(c, p, *now);
	c->in_len = (size_t)(end - p);
	/* A shorter frame is not the answer we want: say so. */
	if (c->in_len > 3 && memcmp(p, ack, 4) != 0)
		errx(1, "wrong answer: a frame of %02x%02x bytes, type %u",
		    p[2], p[3], c->in_len > 4 ? p[4] : 0);
	memcpy(c->in, p, c->in_len);
}

/* Send what is due by now; returns when the next one is. */
static int64_t
send_due(struct conn *conns, int64_t begin, int64_t now)
{
	int64_t due;

	for (;;) {
		struct conn *c = &conns[nsent % opt.nconns];
		unsigned int i = 0;
		uint8_t *p;

		due = begin + (int64_t)((double)nsent * 1e9 / opt.rate);
		if (due > now || is_done())
			return due;
		while (i < WINDOW_MAX && c->slot[i].busy)
			i++;
		if (i == WINDOW_MAX)
			errx(1, "the agent does not keep up");
		p = ask(c, i, due, out);
		write_all(c->fd, out, (size_t)(p - out));
	}
}

static void
run_load(struct conn *conns, int epoll, int64_t begin)
{
	int64_t end = begin + (int64_t)(opt.seconds * 1e9), now = begin, due;
	struct epoll_event events[EVENTS];
	struct timespec wait;
	int n;

	while (now < end && (!is_done() || nreceived < nsent)) {
		due = opt.rate > 0 ? send_due(conns, begin, now) : end;
		if (is_done() || due > end)
			due = end;
		due = due > now ? due - now : 0;
		wait = (struct timespec){ due / 1000000000, due % 1000000000 };
		n = epoll_pwait2(epoll, events, EVENTS, &wait, NULL);
		for (int i = 0; i < n; i++) {
			receive(events[i].data.ptr, &now);
			if (opt.rate <= 0)
				fill(events[i].data.ptr, now);
		}
		now = now_ns();
	}
}

static int
load(void)
{
	struct conn *conns = xcalloc(opt.nconns, sizeof(*conns));
	int epoll = epoll_create1(0);
	int64_t begin;
	double took;

	make_triples();
	memset(notify, '0', sizeof(notify));
	memset(ack, '0', sizeof(ack));
	memcpy(notify, notify_head, NOTIFY_HEAD);
	memcpy(notify + NOTIFY_HEAD, PREFIX, sizeof(PREFIX) - 1);
	memcpy(notify + NOTIFY_HEAD + TOKEN_LEN, notify_tail,
	    sizeof(notify_tail) - 1);
	notify[3] = NOTIFY_LEN - SPOP_LENGTH;
	memcpy(ack, ack_head, ACK_HEAD);
	memcpy(ack + ACK_HEAD, PREFIX, sizeof(PREFIX) - 1);
	memcpy(ack + ACK_HEAD + TOKEN_LEN, "." THUMBPRINT, THUMBPRINT_LEN + 1);
	ack[3] = ACK_LEN - SPOP_LENGTH;
	for (unsigned int i = 0; i < opt.nconns; i++)
		open_conn(&conns[i], epoll);
	begin = now_ns();
	if (opt.rate <= 0)
		for (unsigned int i = 0; i < opt.nconns; i++)
			fill(&conns[i], begin);
	run_load(conns, epoll, begin);
	took = (double)(now_ns() - begin) / 1e9;
	printf("{\"lookups\": %" PRIu64 ", \"per_s\": %.0f, \"p50_us\": %.1f, "
	       "\"p99_us\": %.1f, \"p999_us\": %.1f}\n",
	    nreceived, (double)nreceived / took, percentile(0.5),
	    percentile(0.99), percentile(0.999));
	free(conns);
	return 0;
}

/* --- echo ---------------------------------------------------------------- */

/* All frames in the buffer, answered into another; returns bytes used. */
static size_t
echo_frames(const uint8_t *p, size_t len, struct spop_out *o)
{
	struct spop_in in = { p, p + len };
	struct answer a = { .kind = ANSWER_FOUND };
	char keyauth[KEYAUTH_MAX];
	enum spop_status why;
	struct spop_frame f;
	struct question q;
	uint8_t *start;

	while (spop_get_frame(&in, FRAME_MAX, &f, &why) == 1) {
		if (f.type == SPOP_HAPROXY_HELLO) {
			start = spop_begin(o, SPOP_AGENT_HELLO, 0, 0);
			spop_end(o, start);
			continue;
		}
		if (message_read(&f.payload, &q) == -1 || q.message == NULL)
			errx(1, "not our NOTIFY");
		a.keyauth = keyauth;
		a.keyauth_len =
		    keyauth_make(keyauth, q.token.ptr, q.token.len, THUMBPRINT);
		start = spop_begin(o, SPOP_AGENT_ACK, f.stream_id, f.frame_id);
		message_answer(o, q.message, &a);
		spop_end(o, start);
	}
	return (size_t)(in.p - p);
}

struct echo_conn {
	int fd;
	size_t len;
	uint8_t rest[FRAME_MAX + SPOP_LENGTH];
};

static void
echo_readable(struct echo_conn *c)
{
	static uint8_t answers[2 * BUFFER + 512];
	struct spop_out o = { answers, answers + sizeof(answers) };
	size_t used, len;
	ssize_t n;

	memcpy(buffer, c->rest, c->len);
	n = read(c->fd, buffer + c->len, BUFFER - c->len);
	if (n <= 0) {
		close(c->fd);
		free(c);
		return;
	}
	len = c->len + (size_t)n;
	used = echo_frames(buffer, len, &o);
	c->len = len - used;
	memcpy(c->rest, buffer + used, c->len);
	write_all(c->fd, answers, (size_t)(o.p - answers));
}

static int
echo(void)
{
	struct epoll_event events[EVENTS], event = { .events = EPOLLIN };
	struct sockaddr_storage ss;
	socklen_t len = sockaddr_of(opt.address, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM, 0);
	int epoll = epoll_create1(0), one = 1, n;
	struct echo_conn *c;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&ss, len) == -1 || listen(fd, 64) == -1)
		err(1, "%s", opt.address);
	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	for (;;) {
		n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr != NULL) {
				echo_readable(events[i].data.ptr);
				continue;
			}
			c = xcalloc(1, sizeof(*c));
			c->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
			setsockopt(
			    c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			event.data.ptr = c;
			epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
		}
	}
}

static double
number(const char *text, double max)
{
	char *end;
	double v = strtod(text, &end);

	if (*end != '\0' || v < 0 || v > max)
		errx(1, "%s is not a number of at most %.0f", text, max);
	return v;
}

int
main(int argc, char **argv)
{
	int c;

	if (argc < 3)
		errx(1, "usage: spop load|echo ADDRESS [options]");
	opt.address = argv[2];
	argv[2] = argv[0];
	while ((c = getopt(argc - 2, argv + 2, "c:w:n:s:r:t:")) != -1)
		switch (c) {
		case 'c':
			opt.nconns = (unsigned int)number(optarg, 60000);
			break;
		case 'w':
			opt.window = (unsigned int)number(optarg, WINDOW_MAX);
			break;
		case 'n':
			opt.lookups = (uint64_t)number(optarg, 1e12);
			break;
		case 's':
			opt.seconds = number(optarg, 1e6);
			break;
		case 'r':
			opt.rate = number(optarg, 1e6);
			break;
		case 't':
			opt.ntokens = (unsigned int)number(optarg, 1e6);
			break;
		default:
			return 1;
		}
	return strcmp(argv[1], "echo") == 0 ? echo() : load();
}
