/*
 * Many HAProxys as far as their runtime API goes: certificates are kept by name
 * and fingerprint, nothing is served.
 *
 *	stub DIR COUNT
 *
 * Number i has its socket at DIR/i.sock and its crt-list at DIR/i.list, a link
 * or a file; what the list names at the first question is there from the start,
 * with the fingerprint of its file when that is asked for.  Ready when it says
 * "ready".
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "common/table.h"

#define COUNT_MAX 200
#define PATH_LEN 256
#define SHA1_LEN 41

/* A certificate; sha1 "": its file has not been looked at. */
struct held {
	UT_hash_handle hh;
	char sha1[SHA1_LEN];
	char *filter; /* in the crt-list, or NULL */
	int line;
	char name[];
};

struct stub {
	int number;
	char socket[PATH_LEN], list[PATH_LEN];
	bool loaded;
	struct held *held;
	int lines;
	int64_t started_at;
	char open[PATH_LEN], open_sha1[SHA1_LEN]; /* the transaction */
};

/* A client: after a command that ends with "<<" come lines until an empty one. */
struct client {
	struct stub *stub;
	struct bufferevent *bev;
	char *command;
	struct evbuffer *payload;
};

static const char *dir;
static struct stub stubs[COUNT_MAX];

static struct evbuffer *
out(const struct client *c)
{
	return bufferevent_get_output(c->bev);
}

/* --- certificates -------------------------------------------------------------- */

/* Of the first certificate in the PEM; "" when there is none. */
static void
fingerprint(BIO *bio, char sha1[static SHA1_LEN])
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	bool found = false;
	long len;

	sha1[0] = '\0';
	while (!found && PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
		found = strcmp(name, "CERTIFICATE") == 0;
		if (found && EVP_Digest(der, (size_t)len, digest, NULL,
				 EVP_sha1(), NULL) == 1)
			for (int i = 0; i < 20; i++)
				snprintf(sha1 + (size_t)2 * (size_t)i, 3,
				    "%02X", digest[i]);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
}

static struct held *
find(const struct stub *s, const char *name)
{
	struct held *h;

	HASH_FIND_STR(s->held, name, h);
	return h;
}

static struct held *
add(struct stub *s, const char *name)
{
	struct held *h = find(s, name);
	size_t len = strlen(name);

	if (h != NULL)
		return h;
	h = xcalloc(1, sizeof(*h) + len + 1);
	memcpy(h->name, name, len + 1);
	HASH_ADD_KEYPTR(hh, s->held, h->name, len, h);
	return h;
}

static void
list(struct stub *s, char *line)
{
	char *filter = strchr(line, ' ');
	struct held *h;

	line[strcspn(line, "\n")] = '\0';
	if (filter == NULL)
		return;
	*filter++ = '\0';
	h = add(s, line);
	free(h->filter);
	h->filter = xstrdup(filter);
	h->line = ++s->lines;
}

/* As HAProxy does at its start. */
static void
load(struct stub *s)
{
	char line[1024];
	FILE *f;

	if (s->loaded)
		return;
	s->loaded = true;
	f = fopen(s->list, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		list(s, line);
	if (f != NULL)
		fclose(f);
}

/* --- the answers ------------------------------------------------------------------ */

static void
show_info(const struct client *c)
{
	const struct stub *s = c->stub;

	evbuffer_add_printf(out(c),
	    "Name: HAProxy\nVersion: 3.2.26-stub\nPid: %d\nUptime_sec: 99\n"
	    "Stopping: 0\nStart_time_sec: %lld\n",
	    100000 + s->number, (long long)s->started_at);
}

static void
show_names(const struct client *c)
{
	const struct held *h;

	evbuffer_add_printf(out(c), "# filename\n");
	for (h = c->stub->held; h != NULL; h = h->hh.next)
		evbuffer_add_printf(out(c), "%s\n", h->name);
}

static void
show_entries(const struct client *c)
{
	const struct held *h;

	evbuffer_add_printf(out(c), "# list\n");
	for (h = c->stub->held; h != NULL; h = h->hh.next)
		if (h->filter != NULL)
			evbuffer_add_printf(
			    out(c), "%s:%d %s\n", h->name, h->line, h->filter);
}

static void
show_one(const struct client *c, const char *name)
{
	struct held *h = find(c->stub, name);
	BIO *bio;

	if (h == NULL) {
		evbuffer_add_printf(
		    out(c), "Can't display the certificate: Not found!\n");
		return;
	}
	if (h->sha1[0] == '\0' && (bio = BIO_new_file(name, "r")) != NULL) {
		fingerprint(bio, h->sha1);
		BIO_free(bio);
	}
	evbuffer_add_printf(out(c),
	    "Filename: %s\nStatus: Used\nSHA1 FingerPrint: %s\n", name,
	    h->sha1);
}

static void
set(const struct client *c, const char *name)
{
	struct stub *s = c->stub;
	BIO *bio = BIO_new_mem_buf(evbuffer_pullup(c->payload, -1),
	    (int)evbuffer_get_length(c->payload));

	fingerprint(bio, s->open_sha1);
	BIO_free(bio);
	snprintf(s->open, sizeof(s->open), "%s", name);
	evbuffer_add_printf(
	    out(c), "Transaction created for certificate %s!\n", name);
}

static void
commit(const struct client *c, const char *name)
{
	struct stub *s = c->stub;

	if (strcmp(s->open, name) != 0) {
		evbuffer_add_printf(out(c), "No ongoing transaction!\n");
		return;
	}
	memcpy(add(s, name)->sha1, s->open_sha1, sizeof(s->open_sha1));
	s->open[0] = '\0';
	evbuffer_add_printf(out(c), "Committing %s\nSuccess!\n", name);
}

static void
abort_open(const struct client *c)
{
	struct stub *s = c->stub;

	if (s->open[0] == '\0')
		evbuffer_add_printf(out(c), "No ongoing transaction!\n");
	else
		evbuffer_add_printf(out(c),
		    "Transaction aborted for certificate '%s'!\n", s->open);
	s->open[0] = '\0';
}

static void
add_entry(const struct client *c)
{
	char *line = evbuffer_readln(c->payload, NULL, EVBUFFER_EOL_LF);

	if (line != NULL) {
		list(c->stub, line);
		evbuffer_add_printf(out(c),
		    "Inserting certificate '%s' in crt-list 'list'.\n"
		    "Success!\n",
		    line);
	}
	free(line);
}

static void
del_entry(const struct client *c, char *name)
{
	char *colon = strrchr(name, ':');
	struct held *h;

	if (colon != NULL)
		*colon = '\0';
	h = find(c->stub, name);
	if (h != NULL) {
		free(h->filter);
		h->filter = NULL;
	}
	evbuffer_add_printf(
	    out(c), "Entry '%s' deleted in crtlist 'list'!\n", name);
}

static void
del(const struct client *c, const char *name)
{
	struct held *h = find(c->stub, name);

	if (h != NULL) {
		HASH_DEL(c->stub->held, h);
		free(h->filter);
		free(h);
	}
	evbuffer_add_printf(out(c), "Certificate '%s' deleted!\n", name);
}

/* The text behind a command's first words, or NULL when it is another one. */
static char *
after(char *line, const char *words)
{
	return str_has_prefix(line, words) ? line + strlen(words) : NULL;
}

static void
answer(struct client *c, char *line)
{
	char *rest;

	load(c->stub);
	if (strcmp(line, "show info") == 0)
		show_info(c);
	else if (strcmp(line, "show ssl cert") == 0)
		show_names(c);
	else if ((rest = after(line, "show ssl cert ")) != NULL)
		show_one(c, rest);
	else if (after(line, "show ssl crt-list ") != NULL)
		show_entries(c);
	else if ((rest = after(line, "set ssl cert ")) != NULL)
		set(c, rest);
	else if ((rest = after(line, "commit ssl cert ")) != NULL)
		commit(c, rest);
	else if (after(line, "abort ssl cert ") != NULL)
		abort_open(c);
	else if (after(line, "add ssl crt-list ") != NULL)
		add_entry(c);
	else if ((rest = after(line, "del ssl crt-list ")) != NULL)
		del_entry(c,
		    strchr(rest, ' ') != NULL ? strchr(rest, ' ') + 1 : rest);
	else if ((rest = after(line, "del ssl cert ")) != NULL)
		del(c, rest);
	else if ((rest = after(line, "new ssl cert ")) != NULL)
		evbuffer_add_printf(out(c),
		    "New empty certificate store '%s'!\n",
		    add(c->stub, rest)->name);
	else if (strcmp(line, "prompt") != 0)
		evbuffer_add_printf(out(c), "Unknown command: '%s'\n", line);
	evbuffer_add_printf(out(c), "\n> ");
}

/* --- clients --------------------------------------------------------------------- */

static void
take_line(struct client *c, char *line)
{
	size_t len = strlen(line);

	if (c->command != NULL && len > 0) {
		evbuffer_add_printf(c->payload, "%s\n", line);
	} else if (c->command != NULL) {
		answer(c, c->command);
		free(c->command);
		c->command = NULL;
		evbuffer_drain(c->payload, evbuffer_get_length(c->payload));
	} else if (str_has_suffix(line, " <<")) {
		line[len - 3] = '\0';
		c->command = xstrdup(line);
	} else {
		answer(c, line);
	}
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;
	char *line;

	while ((line = evbuffer_readln(bufferevent_get_input(bev), NULL,
		    EVBUFFER_EOL_LF)) != NULL) {
		take_line(c, line);
		free(line);
	}
}

static void
on_end(struct bufferevent *bev, short what, void *arg)
{
	struct client *c = arg;

	(void)what;
	bufferevent_free(bev);
	evbuffer_free(c->payload);
	free(c->command);
	free(c);
}

static void
on_client(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa,
    int len, void *arg)
{
	struct client *c = xcalloc(1, sizeof(*c));

	(void)sa, (void)len;
	c->stub = arg;
	c->payload = evbuffer_new();
	c->bev = bufferevent_socket_new(
	    evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->payload == NULL || c->bev == NULL)
		abort();
	bufferevent_setcb(c->bev, on_read, NULL, on_end, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static int
serve(struct event_base *base, int number)
{
	struct stub *s = &stubs[number];
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	s->number = number;
	s->started_at = loop_wall_ms() / 1000;
	snprintf(s->socket, sizeof(s->socket), "%s/%d.sock", dir, number);
	snprintf(s->list, sizeof(s->list), "%s/%d.list", dir, number);
	if (strlen(s->socket) >= sizeof(un.sun_path))
		return -1;
	memcpy(un.sun_path, s->socket, strlen(s->socket) + 1);
	unlink(s->socket);
	return evconnlistener_new_bind(base, on_client, s,
		   LEV_OPT_CLOSE_ON_FREE, -1, (struct sockaddr *)&un,
		   sizeof(un)) != NULL
	           ? 0
	           : -1;
}

static void
on_stop(void *arg)
{
	loop_stop(arg);
}

int
main(int argc, char **argv)
{
	struct event_base *base = loop_new();
	int64_t count;

	if (argc != 3 || str_int(argv[2], 1, COUNT_MAX, &count) == -1) {
		fprintf(stderr, "usage: stub DIR COUNT\n");
		return 2;
	}
	dir = argv[1];
	for (int i = 0; i < count; i++)
		if (serve(base, i) == -1) {
			fprintf(stderr, "%s: no socket\n", stubs[i].socket);
			return 1;
		}
	puts("ready");
	fflush(stdout);
	loop_run(base, on_stop, on_stop, base);
	return 0;
}
