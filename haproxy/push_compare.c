#include <assert.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "haproxy/command.h"
#include "haproxy/push_state.h"
#include "haproxy/runtime.h"

#define COMMANDS_MAX (4 * 1024 * 1024)
/* A process that is just being replaced is not worth a whole poll's wait. */
#define SOON_MS 100

static void on_answer(void *arg, const char *text);
static void on_failed(void *arg, const struct err *e);
static int check_process(struct push *, const char *text);
static void got_list(struct push *, const char *text);
static void got_look(struct push *, const char *text);

/* Every conversation starts with the question who is there. */
void
push_talk(struct push *p, enum talk talk, struct buf *commands)
{
	struct buf first;

	buf_init(&first, COMMANDS_MAX);
	command_show_info(&first);
	buf_put(&first, commands->p, commands->len);
	buf_wipe(commands);
	p->talk = talk;
	p->answers = 0;
	p->runtime = runtime_open(p->base, p->conf.socket,
	    p->conf.command_timeout_ms, on_answer, on_failed, p);
	runtime_send(p->runtime, &first);
}

/* Whatever was under way goes back to where it belongs. */
void
push_talk_end(struct push *p)
{
	unsigned int i;

	if (p->runtime != NULL)
		runtime_close(p->runtime);
	p->runtime = NULL;
	p->talk = TALK_NONE;
	for (i = 0; i < p->nlooked; i++) {
		p->looked[i]->busy = false;
		push_enqueue(p, p->looked[i], &p->look);
	}
	p->nlooked = 0;
	if (p->njobs > 0)
		push_change_ended(p, NULL);
	push_wake(p, 0);
}

void
push_poll(struct push *p)
{
	struct buf none;

	buf_init(&none, 1);
	p->poll_at = loop_now_ms() + p->conf.poll_ms;
	push_talk(p, TALK_POLL, &none);
}

static void
on_answer(void *arg, const char *text)
{
	struct push *p = arg;

	assert(p->magic == PUSH_MAGIC);
	if (p->answers++ == 0) {
		if (check_process(p, text) == -1 || p->talk == TALK_POLL)
			push_talk_end(p);
	} else if (p->talk == TALK_LIST) {
		got_list(p, text);
	} else if (p->talk == TALK_LOOK) {
		got_look(p, text);
	} else if (p->talk == TALK_CHANGE) {
		push_change_got(p, text);
	}
}

static void
down(struct push *p, const struct err *e)
{
	int64_t soon = p->conf.poll_ms < SOON_MS ? p->conf.poll_ms : SOON_MS;

	if (p->up)
		log_warn("haproxy_pid=%d %s", p->info.pid, e->text);
	p->up = false;
	p->poll_at = loop_now_ms() + soon;
	push_note(p, e);
}

/* How far a change came is not known: what HAProxy has must be seen again. */
static void
on_failed(void *arg, const struct err *e)
{
	struct push *p = arg;

	assert(p->magic == PUSH_MAGIC);
	down(p, e);
	if (p->njobs > 0)
		push_change_ended(p, e);
	push_talk_end(p);
}

/* Everything known about HAProxy was about another process. */
static void
new_process(struct push *p, const struct answer_info *info)
{
	struct cert *it, *next;

	p->fresh = p->info.pid != 0;
	p->info = *info;
	p->compared = p->announced = false;
	p->need_list = true;
	push_unlocked(p);
	HASH_ITER (hh, p->certs, it, next) {
		it->have = (struct deploy_have){ 0 };
		it->served = false;
		it->refused = it->looked = false;
		it->attempts = 0;
		push_enqueue(p, it, NULL);
	}
}

/* Return -1 when this conversation must not go on. */
static int
check_process(struct push *p, const char *text)
{
	struct answer_info info;
	struct err e = { 0 };

	if (answer_info(text, &info) == -1) {
		err_set(&e, ERR_CONFIG, "%s is not HAProxy's runtime API",
		    p->conf.socket);
		down(p, &e);
		p->poll_at = loop_now_ms() + p->conf.poll_ms;
		return -1;
	}
	if (info.stopping) {
		err_set(&e, ERR_AGAIN, "process %d is stopping", info.pid);
		down(p, &e);
		return -1;
	}
	p->poll_at = loop_now_ms() + p->conf.poll_ms;
	p->up = true;
	if (info.pid == p->info.pid && info.started_at == p->info.started_at)
		return 0;
	new_process(p, &info);
	return p->talk == TALK_LIST ? 0 : -1;
}

void
push_list(struct push *p)
{
	struct err e = { 0 };
	struct buf commands;

	buf_init(&commands, COMMANDS_MAX);
	command_show_certs(&commands);
	if (command_show_entries(&commands, p->conf.crt_list, &e) == -1) {
		buf_clear(&commands);
		log_error("%s", e.text);
		push_note(p, &e);
		push_pause(p);
		return;
	}
	push_talk(p, TALK_LIST, &commands);
}

static void
note_name(void *arg, const char *name, bool open)
{
	struct push *p = arg;
	struct cert *c = push_find(p, name);

	if (c != NULL && !open)
		c->have.store = true;
}

static void
note_entry(void *arg, const char *name, int line, const char *filters)
{
	struct push *p = arg;
	struct cert *c = push_find(p, name);
	struct deploy_want want;

	if (c == NULL) {
		c = push_add(p, name, filters);
		c->stray = c->have.store = true;
	}
	want = push_want_of(p, c);
	deploy_entry(&c->have, &want, line, filters);
}

/* A fingerprint stays known, but not that of a change that went wrong. */
static void
unlearn(struct push *p)
{
	struct cert *it, *next;

	HASH_ITER (hh, p->certs, it, next) {
		it->have.store = false;
		it->have.nentries = 0;
		it->have.more = false;
		if (it->have.unsure) {
			it->have.sha1[0] = '\0';
			it->looked = false;
		}
		it->have.unsure = false;
	}
}

/* The fingerprints of a process are all known now, or nothing was there. */
static void
compared(struct push *p)
{
	struct push_status s;

	if (p->announced || !TAILQ_EMPTY(&p->look))
		return;
	p->announced = true;
	push_status(p, &s);
	p->compared_at = loop_now_ms();
	if (s.served == 0)
		p->fresh = true;
	log_info("haproxy_pid=%d version=%s wanted=%u served=%u", p->info.pid,
	    p->info.version, s.wanted, s.served);
	p->process(p->arg, p->info.pid, p->info.version);
}

static void
list_done(struct push *p)
{
	struct cert *it, *next;

	p->need_list = false;
	p->compared = true;
	HASH_ITER (hh, p->certs, it, next) {
		if (!it->have.store)
			it->have.sha1[0] = '\0';
		push_classify(p, it);
	}
	compared(p);
	push_talk_end(p);
}

static void
list_failed(struct push *p, const char *text)
{
	struct answer a;
	struct err e = { 0 };

	answer_parse(text, &a);
	if (a.kind == ANSWER_LOCKED) {
		push_locked(p);
	} else {
		err_set(&e, ERR_CONFIG,
		    "HAProxy does not list %.120s; a bind line must name it "
		    "and the stats socket must have \"level admin\"",
		    p->conf.crt_list);
		if (strcmp(p->error, e.text) != 0)
			log_error("%s", e.text);
		push_note(p, &e);
		push_pause(p);
	}
	push_talk_end(p);
}

static void
got_list(struct push *p, const char *text)
{
	if (p->answers == 2) {
		unlearn(p);
		if (answer_names(text, note_name, p) == -1)
			list_failed(p, text);
		return;
	}
	if (answer_entries(text, note_entry, p) == -1)
		list_failed(p, text);
	else
		list_done(p);
}

void
push_look(struct push *p)
{
	struct err e = { 0 };
	struct buf commands;
	struct cert *c;

	buf_init(&commands, COMMANDS_MAX);
	while (p->nlooked < PUSH_LOOKS && (c = TAILQ_FIRST(&p->look)) != NULL) {
		push_enqueue(p, c, NULL);
		if (command_cert(&commands, "show", c->path, &e) == -1) {
			push_failed(p, c, &e);
			continue;
		}
		c->busy = true;
		p->looked[p->nlooked++] = c;
	}
	if (p->nlooked == 0) {
		buf_clear(&commands);
		push_wake(p, 0);
		return;
	}
	push_talk(p, TALK_LOOK, &commands);
}

static void
got_look(struct push *p, const char *text)
{
	struct cert *c = p->looked[p->answers - 2];
	unsigned int i;
	struct answer a;

	if (answer_sha1(text, c->path, c->have.sha1) == -1) {
		answer_parse(text, &a);
		c->have.sha1[0] = '\0';
		c->have.store = a.kind != ANSWER_MISSING;
		if (a.kind == ANSWER_LOCKED) {
			push_locked(p);
			push_talk_end(p);
			return;
		}
	}
	c->have.ends = answer_ends(text);
	c->looked = true;
	if (p->answers - 1 < p->nlooked)
		return;
	push_unlocked(p);
	for (i = 0; i < p->nlooked; i++) {
		p->looked[i]->busy = false;
		push_classify(p, p->looked[i]);
	}
	p->nlooked = 0;
	compared(p);
	push_talk_end(p);
}
