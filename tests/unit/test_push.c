/*
 * push against a scripted HAProxy: a small model of its runtime API, with the
 * troubles that the installed one does not have.
 */
#include "haproxy/push.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "tests/unit/certs.h"

#define STORES 8
#define ENTRIES 32
#define PATIENCE_MS 20000

/* What the model of HAProxy holds, and what is wrong with it. */
struct store {
	char name[128];
	char *pem; /* NULL: empty */
};

static struct {
	/* the model */
	int pid, listener;
	bool stopping;
	struct store store[STORES];
	struct {
		char name[128], filter[64];
		int line;
	} entry[ENTRIES];
	int nentries, line;
	char open[128]; /* transaction */
	char *open_pem;

	/* its troubles */
	bool mixes;        /* 2.6: "set" goes into any open transaction */
	bool locked;       /* 3.4, wedged */
	int commit_fails;  /* so many commits */
	int other_at_set;  /* a foreign transaction appears before this "set" */
	int hang_at_set;   /* never answers this "set" */
	int empty_at_set;  /* answers nothing to it */
	int close_at_set;  /* closes the connection */
	bool denied;       /* level operator */
	char ended[128];   /* this one shows to have expired */
	int restart_after; /* conversations, then another process */

	/* what was seen */
	int sets, commits, adds, aborts, conversations, at_once, most_at_once;
	struct buf said; /* every command line */

	/* ours */
	char dir[64], socket[96];
	struct event_base *base;
	struct event *accepting, *timer;
	struct push *push;
	struct push_conf conf;
	int done, failed, processes;
	enum err_kind last_kind;
	char last_error[256];
	bool late;
} m;

struct client {
	int fd;
	bool hung;
	struct event *readable;
	struct buf in, payload;
	char command[256];
};

static void say(struct client *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct client *c, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		return;
}

static void
drop(struct client *c)
{
	m.at_once--;
	event_free(c->readable);
	close(c->fd);
	buf_clear(&c->in);
	buf_clear(&c->payload);
	free(c);
}

static struct store *
store(const char *name)
{
	int i;

	for (i = 0; i < STORES; i++)
		if (strcmp(m.store[i].name, name) == 0)
			return &m.store[i];
	return NULL;
}

static void
show_info(struct client *c)
{
	say(c,
	    "Name: HAProxy\nVersion: 2.6.12-model\nPid: %d\nUptime_sec: 99\n"
	    "Stopping: %d\nStart_time_sec: %d\n\n",
	    m.pid, m.stopping, 1000 + m.pid);
}

static void
show_names(struct client *c)
{
	int i;

	if (m.open[0] != '\0')
		say(c, "# transaction\n*%s\n", m.open);
	say(c, "# filename\n");
	for (i = 0; i < STORES; i++)
		if (m.store[i].name[0] != '\0')
			say(c, "%s\n", m.store[i].name);
	say(c, "\n");
}

static bool
fingerprint(const struct store *s, char sha1[static 41])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	BIO *bio;
	X509 *leaf;

	if (s == NULL || s->pem == NULL)
		return false;
	bio = BIO_new_mem_buf(s->pem, -1);
	leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_non_null(leaf);
	X509_digest(leaf, EVP_sha1(), digest, NULL);
	str_hex(sha1, digest, 20);
	X509_free(leaf);
	BIO_free(bio);
	return true;
}

static void
show_cert(struct client *c, const char *name)
{
	char sha1[41];

	if (store(name) == NULL)
		say(c, "Can't display the certificate: Not found or the "
		       "certificate is a bundle!\n\n");
	else if (!fingerprint(store(name), sha1))
		say(c, "Filename: %s\nStatus: Empty\n\n", name);
	else
		say(c,
		    "Filename: %s\nStatus: Used\nnotAfter: %s GMT\n"
		    "SHA1 FingerPrint: %s\n\n",
		    name,
		    strcmp(name, m.ended) == 0 ? "Jan  2 03:04:05 2020"
					       : "Jan  2 03:04:05 2099",
		    sha1);
}

static void
new_cert(struct client *c, const char *name)
{
	struct store *s = store("");

	if (store(name) != NULL) {
		say(c, "Certificate '%s' already exists!\n\n", name);
		return;
	}
	snprintf(s->name, sizeof(s->name), "%s", name);
	say(c, "New empty certificate store '%s'!\n\n", name);
}

static void
open_transaction(const char *name, const char *pem)
{
	if (name != m.open)
		snprintf(m.open, sizeof(m.open), "%s", name);
	free(m.open_pem);
	m.open_pem = xstrdup(pem);
}

static void
set_cert(struct client *c, const char *name)
{
	bool was_open;

	m.sets++;
	if (m.sets == m.other_at_set)
		open_transaction("/elsewhere/other.pem", "theirs");
	was_open = m.open[0] != '\0';
	c->hung = m.sets == m.hang_at_set;
	if (c->hung)
		return;
	if (m.sets == m.close_at_set)
		shutdown(c->fd, SHUT_RDWR);
	else if (m.sets == m.empty_at_set)
		say(c, "\n");
	else if (was_open && strcmp(m.open, name) != 0 && !m.mixes)
		say(c,
		    "The ongoing transaction is about '%s' but you are trying "
		    "to set '%s'\nCan't update %s!\n\n",
		    m.open, name, name);
	else if (was_open) {
		open_transaction(m.open, c->payload.p);
		say(c, "Transaction updated for certificate %s!\n\n", m.open);
	} else {
		open_transaction(name, c->payload.p);
		say(c, "Transaction created for certificate %s!\n\n", name);
	}
}

static void
commit_cert(struct client *c, const char *name)
{
	struct store *s = store(name);

	m.commits++;
	if (m.open[0] == '\0') {
		say(c, "No ongoing transaction! !\nCan't commit %s!\n\n", name);
	} else if (strcmp(m.open, name) != 0) {
		say(c,
		    "The ongoing transaction is about '%s' but you are trying "
		    "to set '%s'\nCan't commit %s!\n\n",
		    m.open, name, name);
	} else if (m.commit_fails > 0) {
		m.commit_fails--;
		say(c,
		    "No enough memory for this trouble!\nCan't commit %s!\n\n",
		    name);
	} else {
		free(s->pem);
		s->pem = m.open_pem;
		m.open_pem = NULL;
		m.open[0] = '\0';
		say(c, "Committing %s.\nSuccess!\n\n", name);
	}
}

static void
abort_cert(struct client *c, const char *name)
{
	m.aborts++;
	if (m.open[0] == '\0') {
		say(c, "No ongoing transaction!\n\n");
	} else if (strcmp(m.open, name) != 0) {
		say(c,
		    "The ongoing transaction is about '%s' but you are trying "
		    "to abort a transaction for '%s'\n\n",
		    m.open, name);
	} else {
		m.open[0] = '\0';
		say(c, "Transaction aborted for certificate '%s'!\n\n", name);
	}
}

static void
add_entry(struct client *c, const char *list)
{
	char name[128], filter[64];

	assert_int_equal(sscanf(c->payload.p, "%127s %63s", name, filter), 2);
	m.adds++;
	snprintf(m.entry[m.nentries].name, 128, "%s", name);
	snprintf(m.entry[m.nentries].filter, 64, "%s", filter);
	m.entry[m.nentries++].line = ++m.line;
	say(c, "Inserting certificate '%s' in crt-list '%s'.\nSuccess!\n\n",
	    name, list);
}

static void
show_entries(struct client *c, const char *list)
{
	int i;

	say(c, "# %s\n", list);
	for (i = 0; i < m.nentries; i++)
		say(c, "%s:%d %s\n", m.entry[i].name, m.entry[i].line,
		    m.entry[i].filter);
	say(c, "\n");
}

static void
del_entry(struct client *c, const char *list, char *name)
{
	char *colon = strchr(name, ':');
	int i, line = 0, found = 0, at = -1;

	if (colon != NULL) {
		*colon = '\0';
		line = (int)strtol(colon + 1, NULL, 10);
	}
	for (i = 0; i < m.nentries; i++)
		if (strcmp(m.entry[i].name, name) == 0 &&
		    (line == 0 || m.entry[i].line == line)) {
			found++;
			at = i;
		}
	if (found != 1) {
		say(c,
		    "Can't delete the entry: found the certificate '%s' in "
		    "several entries, please specify a line number preceded by "
		    "colons (1, 2)!\n\n",
		    name);
		return;
	}
	m.entry[at] = m.entry[--m.nentries];
	say(c, "Entry '%s' deleted in crtlist '%s'!\n\n", name, list);
}

static void
del_cert(struct client *c, const char *name)
{
	struct store *s = store(name);

	if (s == NULL) {
		say(c,
		    "Can't remove the certificate: certificate '%s' doesn't "
		    "exist!\n\n",
		    name);
		return;
	}
	s->name[0] = '\0';
	free(s->pem);
	s->pem = NULL;
	say(c, "Certificate '%s' deleted!\n\n", name);
}

static void
run_command(struct client *c)
{
	char *word[6] = { NULL }, *copy = xstrdup(c->command), *p, *save;
	int n = 0;

	buf_putf(&m.said, "%s\n", c->command);
	for (p = strtok_r(copy, " ", &save); p != NULL && n < 6;
	     p = strtok_r(NULL, " ", &save))
		word[n++] = p;
	say(c, "> ");
	for (p = c->payload.p; *p != '\0'; p++)
		if (*p == '\n')
			say(c, "+ ");
	if (n == 1 && strcmp(word[0], "prompt") == 0)
		say(c, "\n");
	else if (n == 2)
		show_info(c);
	else if (m.locked)
		say(c, "Operations on certificates are currently locked!\n\n");
	else if (m.denied)
		say(c, "Permission denied\n\n");
	else if (n == 3)
		show_names(c);
	else if (strcmp(word[0], "new") == 0)
		new_cert(c, word[3]);
	else if (strcmp(word[0], "set") == 0)
		set_cert(c, word[3]);
	else if (strcmp(word[0], "commit") == 0)
		commit_cert(c, word[3]);
	else if (strcmp(word[0], "abort") == 0)
		abort_cert(c, word[3]);
	else if (strcmp(word[0], "add") == 0)
		add_entry(c, word[3]);
	else if (strcmp(word[0], "del") == 0 && n == 5)
		del_entry(c, word[3], word[4]);
	else if (strcmp(word[0], "del") == 0)
		del_cert(c, word[3]);
	else if (n == 5)
		show_entries(c, word[4]);
	else
		show_cert(c, word[3]);
	free(copy);
}

/* One line; false when a payload or the line is not whole yet. */
static bool
step(struct client *c)
{
	char *end = memchr(c->in.p, '\n', c->in.len), *last;

	if (end == NULL)
		return false;
	*end = '\0';
	last = strstr(c->in.p, " <<");
	buf_clear(&c->payload);
	buf_init(&c->payload, 1 << 20);
	snprintf(c->command, sizeof(c->command), "%s", c->in.p);
	*end = '\n';
	if (last != NULL && last < end) {
		last =
		    memmem(end, c->in.len - (size_t)(end - c->in.p), "\n\n", 2);
		if (last == NULL)
			return false;
		buf_put(&c->payload, end + 1, (size_t)(last - end));
		end = last + 1;
	}
	buf_drop(&c->in, (size_t)(end + 1 - c->in.p));
	run_command(c);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	char chunk[4096];
	ssize_t n = recv(fd, chunk, sizeof(chunk), 0);

	(void)what;
	if (n <= 0) {
		drop(c);
		return;
	}
	buf_put(&c->in, chunk, (size_t)n);
	while (!c->hung && step(c))
		;
}

static void
forget_all(void)
{
	int i;

	for (i = 0; i < STORES; i++) {
		free(m.store[i].pem);
		m.store[i] = (struct store){ .pem = NULL };
	}
	m.nentries = m.line = 0;
	m.open[0] = '\0';
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = xcalloc(1, sizeof(*c));

	(void)what, (void)arg;
	c->fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	buf_init(&c->in, 1 << 20);
	buf_init(&c->payload, 1 << 20);
	c->readable =
	    event_new(m.base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	event_add(c->readable, NULL);
	m.conversations++;
	if (++m.at_once > m.most_at_once)
		m.most_at_once = m.at_once;
	if (m.restart_after > 0 && --m.restart_after == 0) {
		m.pid++;
		forget_all();
	}
}

static void
on_done(void *arg, const char *path, const char *sha1, const struct err *e)
{
	(void)arg, (void)path, (void)sha1;
	if (e == NULL) {
		m.done++;
		return;
	}
	m.failed++;
	m.last_kind = e->kind;
	snprintf(m.last_error, sizeof(m.last_error), "%s", e->text);
}

static void
on_process(void *arg, int pid, const char *version)
{
	(void)arg, (void)pid, (void)version;
	m.processes++;
}

static int
begin(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)state;
	memset(&m, 0, sizeof(m));
	log_open("test", LOG_LEVEL_ERROR);
	m.pid = 100;
	buf_init(&m.said, 1 << 24);
	snprintf(m.dir, sizeof(m.dir), "/tmp/test-push-XXXXXX");
	assert_non_null(mkdtemp(m.dir));
	snprintf(m.socket, sizeof(m.socket), "%s/admin.sock", m.dir);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", m.socket);
	m.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(
	    bind(m.listener, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(listen(m.listener, 16), 0);
	m.base = loop_new();
	m.accepting = event_new(
	    m.base, m.listener, EV_READ | EV_PERSIST, on_accept, NULL);
	event_add(m.accepting, NULL);
	m.conf = (struct push_conf){ .socket = m.socket,
		.crt_list = "/r/list",
		.bufsize = 16384,
		.poll_ms = 50,
		.command_timeout_ms = 300 };
	m.push = push_new(m.base, &m.conf, on_done, on_process, NULL);
	return 0;
}

static int
end(void **state)
{
	char path[128];
	int i;

	(void)state;
	push_free(m.push);
	/* The model's side of the last conversation sees the end of it. */
	while (m.at_once > 0)
		event_base_loop(m.base, EVLOOP_ONCE);
	for (i = 0; i < STORES; i++) {
		snprintf(path, sizeof(path), "%s/%d.example.pem", m.dir, i);
		unlink(path);
	}
	event_free(m.accepting);
	loop_timer_free(&m.timer);
	event_base_free(m.base);
	close(m.listener);
	forget_all();
	free(m.open_pem);
	buf_clear(&m.said);
	unlink(m.socket);
	return rmdir(m.dir);
}

static void
on_late(void *arg)
{
	(void)arg;
	m.late = true;
}

#define UNTIL(what)                                                       \
	do {                                                              \
		m.late = false;                                           \
		loop_after(m.base, &m.timer, PATIENCE_MS, on_late, NULL); \
		while (!(what) && !m.late)                                \
			event_base_loop(m.base, EVLOOP_ONCE);             \
		if (m.late)                                               \
			fail_msg("%s: never (%s)", #what, m.last_error);  \
	} while (0)

struct wanted {
	char name[32], path[128], sha1[41];
};

static struct wanted
want(int i)
{
	struct wanted x;
	char *pem;

	snprintf(x.name, sizeof(x.name), "%d.example", i);
	snprintf(x.path, sizeof(x.path), "%s/%s.pem", m.dir, x.name);
	pem = certs_pem(x.name, x.sha1);
	certs_write(x.path, pem);
	free(pem);
	push_want(m.push, x.path, x.sha1, x.name);
	return x;
}

static int
entries(const char *path)
{
	int i, n = 0;

	for (i = 0; i < m.nentries; i++)
		n += strcmp(m.entry[i].name, path) == 0;
	return n;
}

/* HAProxy itself has it, once; that push believes so is not enough. */
static void
has(const struct wanted *x)
{
	char sha1[41];

	assert_true(fingerprint(store(x->path), sha1));
	assert_string_equal(sha1, x->sha1);
	assert_int_equal(entries(x->path), 1);
	assert_string_equal(push_served(m.push, x->path), x->sha1);
}

static void
it_is_pushed_in_one_conversation_and_proven(void **state)
{
	struct wanted x;

	(void)state;
	UNTIL(m.processes == 1);
	x = want(0);
	assert_int_equal(m.done, 0); /* not from within push_want() */
	m.conversations = 0;
	m.said.len = 0;
	m.conf.poll_ms = 100000;
	UNTIL(m.done == 1);
	has(&x);
	assert_int_equal(m.most_at_once, 1);
	assert_int_equal(m.sets, 1);
	assert_null(strchr(m.said.p, ';'));
	push_want(m.push, x.path, x.sha1, x.name); /* wanted already */
	push_unwant(m.push, x.path);
	UNTIL(store(x.path) == NULL);
	assert_int_equal(entries(x.path), 0);
	assert_int_equal(m.done, 1);
	assert_int_equal(m.failed, 0);
}

/* A Redis that went back offers what this node has already. */
static void
who_wants_it_again_hears_of_it_again(void **state)
{
	struct wanted x;

	(void)state;
	UNTIL(m.processes == 1);
	x = want(0);
	UNTIL(m.done == 1);
	push_want(m.push, x.path, x.sha1, x.name);
	assert_int_equal(m.done, 1);
	UNTIL(m.done == 2);
	has(&x);
	assert_int_equal(m.sets, 1);
}

static void
a_stale_transaction_of_ours_is_aborted(void **state)
{
	struct wanted x;
	char left[128];

	(void)state;
	m.mixes = true;
	snprintf(left, sizeof(left), "%s/left.example.pem", m.dir);
	open_transaction(left, "stale");
	x = want(0);
	UNTIL(m.done == 1);
	has(&x);
	assert_int_equal(m.failed, 0);
	assert_string_equal(m.open, "");
}

static void
on_theirs_commit(void *arg)
{
	(void)arg;
	m.open[0] = '\0';
}

static void
a_transaction_of_others_is_waited_for_and_never_aborted(void **state)
{
	struct event *timer = NULL;
	struct wanted x;

	(void)state;
	m.mixes = true;
	open_transaction("/elsewhere/other.pem", "theirs");
	x = want(0);
	UNTIL(m.aborts >= 3);
	assert_string_equal(m.open, "/elsewhere/other.pem");
	assert_string_equal(m.open_pem, "theirs");
	assert_int_equal(m.sets, 0); /* 2.6 would have mixed it in */
	loop_after(m.base, &timer, 10, on_theirs_commit, NULL);
	UNTIL(m.done == 1);
	has(&x);
	loop_timer_free(&timer);
}

/* 2.6: between our question and our "set" somebody opens a transaction. */
static void
a_pem_mixed_into_a_foreign_transaction_is_taken_out_again(void **state)
{
	struct wanted x;

	(void)state;
	m.mixes = true;
	m.other_at_set = 1;
	x = want(0);
	UNTIL(m.failed == 1);
	assert_non_null(strstr(m.last_error, "/elsewhere/other.pem"));
	UNTIL(m.done == 1);
	has(&x);
	assert_string_equal(m.open, "");
	assert_null(store("/elsewhere/other.pem"));
}

/* From 3.0 on HAProxy refuses; then there is nothing to take out. */
static void
a_transaction_that_comes_in_between_is_left_alone(void **state)
{
	struct event *timer = NULL;
	struct wanted x;

	(void)state;
	m.other_at_set = 1;
	x = want(0);
	UNTIL(m.failed == 1 && m.aborts >= 4);
	assert_string_equal(m.open, "/elsewhere/other.pem");
	assert_string_equal(m.open_pem, "theirs");
	loop_after(m.base, &timer, 10, on_theirs_commit, NULL);
	UNTIL(m.done == 1);
	has(&x);
	loop_timer_free(&timer);
}

static void
a_failed_commit_is_aborted_and_tried_again(void **state)
{
	struct wanted x[3];
	int i;

	(void)state;
	m.commit_fails = 1;
	for (i = 0; i < 3; i++)
		x[i] = want(i);
	UNTIL(m.done == 3);
	for (i = 0; i < 3; i++)
		has(&x[i]);
	/* Only the one whose commit failed: the others had a clean way. */
	assert_int_equal(m.failed, 1);
	assert_int_equal(m.last_kind, ERR_AGAIN);
	assert_string_equal(m.open, "");
}

static void
a_lock_that_lasts_is_reported_and_a_reload_cures_it(void **state)
{
	struct push_status s;
	struct wanted x;
	int before;

	(void)state;
	UNTIL(m.processes == 1);
	m.locked = true;
	x = want(0);
	push_status(m.push, &s);
	assert_false(s.wedged);
	UNTIL((push_status(m.push, &s), s.wedged));
	assert_true(s.up);
	assert_non_null(strstr(s.error, "reload"));
	/* It goes on trying, slowly. */
	before = m.conversations;
	UNTIL(m.conversations > before);
	m.locked = false;
	m.pid++;
	forget_all();
	UNTIL(m.done == 1);
	push_status(m.push, &s);
	assert_false(s.wedged);
	assert_int_equal(s.pid, m.pid);
	assert_string_equal(s.error, "");
	has(&x);
}

static void
a_short_lock_is_just_waited_for(void **state)
{
	struct push_status s;
	struct wanted x;

	(void)state;
	UNTIL(m.processes == 1);
	m.locked = true;
	x = want(0);
	UNTIL((push_status(m.push, &s), s.error[0] != '\0'));
	m.locked = false;
	UNTIL(m.done == 1);
	has(&x);
	assert_int_equal(m.failed, 0);
}

static void
duplicates_in_the_crt_list_are_removed(void **state)
{
	struct wanted x;
	char path[96];
	int i;

	(void)state;
	snprintf(path, sizeof(path), "%s/0.example.pem", m.dir);
	snprintf(m.store[0].name, sizeof(m.store[0].name), "%s", path);
	for (i = 0; i < 20; i++) {
		snprintf(m.entry[i].name, 128, "%s", path);
		snprintf(m.entry[i].filter, 64, i % 3 ? "0.example" : "x.test");
		m.entry[i].line = i + 1;
	}
	m.nentries = m.line = 20;
	x = want(0);
	/* More than one round: they are taken in parts. */
	UNTIL(m.done == 1);
	has(&x);
	assert_string_equal(m.entry[0].filter, "0.example");
}

/* After a reload a connection may still reach the process that goes. */
static void
a_stopping_process_gets_no_certificates(void **state)
{
	struct push_status s;
	struct wanted x;

	(void)state;
	UNTIL(m.processes == 1);
	m.stopping = true;
	x = want(0);
	UNTIL((push_status(m.push, &s), !s.up));
	UNTIL(m.conversations > 5);
	assert_int_equal(m.sets, 0);
	m.stopping = false;
	m.pid++;
	UNTIL(m.done == 1);
	has(&x);
	assert_int_equal(m.processes, 2);
}

/* The poll saw one process, the change meets another: nothing is sent. */
static void
another_process_is_compared_before_it_is_changed(void **state)
{
	struct wanted x, y;

	(void)state;
	x = want(0);
	UNTIL(m.done == 1);
	m.restart_after = 1;
	m.said.len = 0;
	y = want(1);
	UNTIL(m.done == 2 && m.processes == 2 &&
	      push_served(m.push, x.path)[0] != '\0');
	has(&x);
	has(&y);
	assert_int_equal(m.failed, 0);
	/* The listing came before anything was set. */
	assert_true(strstr(m.said.p, "show ssl crt-list") <
		    strstr(m.said.p, "set ssl cert"));
}

static void
an_answer_that_never_comes_has_an_end(void **state)
{
	struct wanted x;

	(void)state;
	m.hang_at_set = 1;
	x = want(0);
	UNTIL(m.failed == 1);
	assert_int_equal(m.last_kind, ERR_AGAIN);
	assert_non_null(strstr(m.last_error, "in time"));
	UNTIL(m.done == 1);
	/* What came behind was not repeated blindly. */
	has(&x);
	assert_int_equal(m.adds, 1);
}

static void
an_empty_answer_to_set_points_at_the_buffer_size(void **state)
{
	struct wanted x;

	(void)state;
	m.empty_at_set = 1;
	x = want(0);
	UNTIL(m.failed == 1);
	assert_int_equal(m.last_kind, ERR_REFUSED);
	assert_non_null(strstr(m.last_error, "tune.bufsize"));
	/* Not tried again by itself, but when it is wanted again. */
	push_want(m.push, x.path, x.sha1, x.name);
	UNTIL(m.done == 1);
	has(&x);
}

static void
a_connection_closed_at_set_is_seen_again_by_listing(void **state)
{
	struct wanted x;

	(void)state;
	m.close_at_set = 1;
	x = want(0);
	UNTIL(m.failed == 1);
	assert_non_null(strstr(m.last_error, "tune.bufsize"));
	UNTIL(m.done == 1);
	has(&x);
}

static void
a_level_below_admin_is_named(void **state)
{
	struct push_status s;

	(void)state;
	m.denied = true;
	(void)want(0);
	UNTIL((push_status(m.push, &s), s.error[0] != '\0'));
	assert_non_null(strstr(s.error, "level admin"));
	m.denied = false;
	UNTIL(m.done == 1);
}

static void
a_renewal_during_a_push_wins(void **state)
{
	struct wanted old, x;

	(void)state;
	UNTIL(m.processes == 1);
	old = want(0);
	UNTIL(m.sets == 1);
	x = want(0);
	assert_string_not_equal(old.sha1, x.sha1);
	UNTIL(strcmp(push_served(m.push, x.path), x.sha1) == 0);
	has(&x);
	assert_int_equal(m.failed, 0);
}

static void
a_pem_that_is_missing_or_no_pem_says_so(void **state)
{
	struct wanted x = { .name = "0.example" };

	(void)state;
	snprintf(x.path, sizeof(x.path), "%s/0.example.pem", m.dir);
	push_want(m.push, x.path, "AA", x.name);
	UNTIL(m.failed == 1);
	assert_int_equal(m.last_kind, ERR_AGAIN);
	certs_write(x.path, "hello\n\nshow info\n");
	UNTIL(m.last_kind == ERR_REFUSED);
	assert_int_equal(m.sets, 0);
	assert_int_equal(unlink(x.path), 0);
	assert_int_equal(symlink("/etc/passwd", x.path), 0);
	push_want(m.push, x.path, "BB", x.name);
	m.last_kind = ERR_NONE;
	UNTIL(m.last_kind == ERR_AGAIN);
	x = (struct wanted){ .name = "x" };
	push_want(m.push, "/r/a.pem;show info", "CC", "a.example");
	UNTIL(m.last_kind == ERR_REFUSED || m.last_kind == ERR_AGAIN);
	assert_null(strchr(m.said.p, ';'));
}

static void
haproxy_may_be_away_for_a_while(void **state)
{
	struct push_status s;
	struct wanted x;
	char away[128];

	(void)state;
	x = want(0);
	UNTIL(m.done == 1);
	snprintf(away, sizeof(away), "%s.away", m.socket);
	assert_int_equal(rename(m.socket, away), 0);
	UNTIL((push_status(m.push, &s), !s.up));
	assert_non_null(strstr(s.error, m.socket));
	assert_int_equal(rename(away, m.socket), 0);
	UNTIL((push_status(m.push, &s), s.up));
	assert_int_equal(m.processes, 1); /* it was the same one */
	assert_string_equal(push_served(m.push, x.path), x.sha1);
}

static uint32_t
heat_of(void *arg, const char *filter)
{
	static const uint32_t heat[STORES] = { 0, 7, 1, 0, 9, 0 };

	(void)arg;
	return heat[filter[0] - '0'];
}

/* "2 3 4": whose PEMs were sent, in this order. */
static const char *
sets_said(void)
{
	static char list[2 * STORES + 1];
	const char *p = m.said.p;
	size_t n = 0;

	while ((p = strstr(p, "set ssl cert ")) != NULL && n < 2 * STORES) {
		p = strstr(p, ".example.pem");
		list[n++] = p[-1];
		list[n++] = ' ';
	}
	list[n] = '\0';
	return list;
}

static void
of_many_those_come_first_that_visitors_miss_most(void **state)
{
	struct wanted x[6];
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		x[i] = want(i);
	UNTIL(m.done == 6);
	push_free(m.push);
	while (m.at_once > 0)
		event_base_loop(m.base, EVLOOP_ONCE);
	/* One is gone, one has expired, the others are only older. */
	memcpy(m.ended, x[2].path, sizeof(m.ended));
	free(store(x[3].path)->pem);
	*store(x[3].path) = (struct store){ .pem = NULL };
	m.entry[3] = m.entry[--m.nentries];
	m.conf.heat = heat_of;
	m.push = push_new(m.base, &m.conf, on_done, on_process, NULL);
	m.said.len = 0;
	for (i = 0; i < 6; i++)
		x[i] = want(i);
	UNTIL(m.done == 12);
	assert_string_equal(sets_said(), "2 3 4 1 0 5 ");
	for (i = 0; i < 6; i++)
		has(&x[i]);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_pushed_in_one_conversation_and_proven),
		TEST(who_wants_it_again_hears_of_it_again),
		TEST(a_stale_transaction_of_ours_is_aborted),
		TEST(a_transaction_of_others_is_waited_for_and_never_aborted),
		TEST(a_pem_mixed_into_a_foreign_transaction_is_taken_out_again),
		TEST(a_transaction_that_comes_in_between_is_left_alone),
		TEST(a_failed_commit_is_aborted_and_tried_again),
		TEST(a_lock_that_lasts_is_reported_and_a_reload_cures_it),
		TEST(a_short_lock_is_just_waited_for),
		TEST(duplicates_in_the_crt_list_are_removed),
		TEST(a_stopping_process_gets_no_certificates),
		TEST(another_process_is_compared_before_it_is_changed),
		TEST(an_answer_that_never_comes_has_an_end),
		TEST(an_empty_answer_to_set_points_at_the_buffer_size),
		TEST(a_connection_closed_at_set_is_seen_again_by_listing),
		TEST(a_level_below_admin_is_named),
		TEST(a_renewal_during_a_push_wins),
		TEST(a_pem_that_is_missing_or_no_pem_says_so),
		TEST(haproxy_may_be_away_for_a_while),
		TEST(of_many_those_come_first_that_visitors_miss_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
