#include <stdlib.h>
#include <string.h>

#include "common/fault.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "haproxy/command.h"
#include "haproxy/disk.h"
#include "haproxy/push_state.h"
#include "haproxy/runtime.h"

#define BODY_MAX (4 * 1024 * 1024)
#define PEM_MAX (256 * 1024)
#define COMMIT "commit ssl cert "

static int prepare(struct push *, struct job *);
static void clear_way(struct push *, const char *text);
static void was_set(struct push *);
static void all_answered(struct push *);
static void finish_job(struct push *, struct job *);

static struct deploy_want
want_of(const struct push *p, const struct job *j)
{
	return (struct deploy_want){ .name = j->cert->path,
		.list = p->conf.crt_list,
		.filter = j->filter,
		.sha1 = j->sha1 };
}

/*
 * Take up to max certificates from the queue and talk to HAProxy about them.
 * The first question is an abort of our own: its answer says whether another
 * transaction is open, before HAProxy 2.6 could mix a PEM into it.
 */
void
push_change(struct push *p, unsigned int max)
{
	struct err e = { 0 };
	struct buf first;
	struct cert *c;

	buf_init(&p->body, BODY_MAX);
	while (p->njobs < max && (c = heap_first(&p->ready)) != NULL) {
		/* What failed among others is tried again alone. */
		if (c->attempts > 0 && p->njobs > 0)
			break;
		push_enqueue(p, c, NULL);
		p->job[p->njobs] = (struct job){ .cert = c };
		if (prepare(p, &p->job[p->njobs]) == -1)
			continue;
		c->busy = true;
		p->njobs++;
		if (c->attempts > 0)
			break;
	}
	if (p->njobs == 0) {
		buf_wipe(&p->body);
		push_wake(p, 0);
		return;
	}
	p->at = 0;
	p->clearing = true;
	p->mixed[0] = '\0';
	buf_init(&first, BODY_MAX);
	/* Its path has just passed the same check. */
	(void)command_cert(&first, "abort", p->job[0].cert->path, &e);
	push_talk(p, TALK_CHANGE, &first);
}

static bool
sends_pem(const struct deploy_plan *plan)
{
	int i;

	for (i = 0; i < plan->nsteps; i++)
		if (plan->step[i].op == DEPLOY_SET)
			return true;
	return false;
}

/* Append a certificate's commands; return -1 when it is out of this. */
static int
prepare(struct push *p, struct job *j)
{
	struct cert *c = j->cert;
	struct deploy_want want;
	struct buf pem;
	int rc = 0;

	memcpy(j->sha1, c->sha1, sizeof(j->sha1));
	j->filter = xstrdup(c->filter);
	want = want_of(p, j);
	deploy_plan(&c->have, &want, &j->plan);
	buf_init(&pem, PEM_MAX);
	if (sends_pem(&j->plan))
		rc = disk_read(c->path, &pem, &j->e);
	if (rc == 0 && p->body.len + pem.len + 16384 > BODY_MAX)
		rc = err_set(&j->e, ERR_AGAIN, "too much for one conversation");
	if (rc == 0)
		rc = deploy_commands(&j->plan, &want, pem.p, pem.len,
		    p->conf.bufsize, &p->body, &j->e);
	buf_wipe(&pem);
	if (rc == 0 && j->plan.nsteps > 0)
		return 0;
	free(j->filter);
	if (rc == -1)
		push_failed(p, c, &j->e);
	else
		push_classify(p, c);
	return -1;
}

/* It may have been committed with our PEM before we can abort it. */
static void
mixed(struct push *p, const char *name)
{
	struct cert *c = push_find(p, name);

	memcpy(p->mixed, name, sizeof(p->mixed));
	if (c == NULL)
		return;
	c->have.unsure = true;
	p->need_list = true;
}

void
push_change_got(struct push *p, const char *text)
{
	char other[ANSWER_NAME_MAX];
	struct deploy_want want;
	enum deploy_result got;
	struct err e = { 0 };
	struct job *j;
	bool unsure;

	if (p->clearing) {
		clear_way(p, text);
		return;
	}
	j = &p->job[p->at];
	want = want_of(p, j);
	unsure = j->cert->have.unsure;
	got = deploy_got(
	    &j->cert->have, &want, &j->plan.step[j->at], text, other, &e);
	if (j->plan.step[j->at].op == DEPLOY_SET)
		was_set(p);
	if (got == DEPLOY_MIXED)
		mixed(p, other);
	if (j->result != DEPLOY_OK) {
		/* One failure explains those of the steps behind it. */
		j->cert->have.unsure = unsure;
	} else if (got != DEPLOY_OK) {
		j->result = got;
		j->e = e;
	}
	if (++j->at == j->plan.nsteps && ++p->at == p->njobs)
		all_answered(p);
}

/*
 * The last thing said about an open transaction that has our PEM, or the first
 * about one that is in the way.
 */
static void
abort_of(struct push *p, const char *name)
{
	struct err e = { 0 };
	struct buf commands;

	buf_init(&commands, BODY_MAX);
	if (command_cert(&commands, "abort", name, &e) == -1) {
		buf_clear(&commands);
		push_pause(p);
		push_talk_end(p);
		return;
	}
	log_warn("haproxy_pid=%d abort=%s: an open transaction is in the way",
	    p->info.pid, name);
	runtime_send(p->runtime, &commands);
}

static void
in_the_way(struct push *p, const char *name)
{
	struct err e = { 0 };

	err_set(&e, ERR_AGAIN,
	    "another client of HAProxy has a transaction open, for %.150s",
	    name);
	if (!p->busy_told)
		log_warn("haproxy_pid=%d %s", p->info.pid, e.text);
	p->busy_told = true;
	push_note(p, &e);
	push_pause(p);
	push_talk_end(p);
}

/*
 * All at once, but for a test that is about to end us between the "set" and
 * the "commit" of the first: HAProxy would have done both by then.
 */
static void
send_changes(struct push *p)
{
	const char *commit;
	struct buf first;

	if (fault_armed("F16") && (commit = memmem(p->body.p, p->body.len,
				       COMMIT, strlen(COMMIT))) != NULL) {
		buf_init(&first, BODY_MAX);
		buf_put(&first, p->body.p, (size_t)(commit - p->body.p));
		buf_drop(&p->body, first.len);
		runtime_send(p->runtime, &first);
		return;
	}
	runtime_send(p->runtime, &p->body);
	buf_init(&p->body, BODY_MAX);
}

/* "set" was answered: what may have been held back goes on. */
static void
was_set(struct push *p)
{
	fault_point("F16");
	if (p->body.len == 0)
		return;
	runtime_send(p->runtime, &p->body);
	buf_init(&p->body, BODY_MAX);
}

/* The answer to an abort: go on, clear up, or come back later. */
static void
clear_way(struct push *p, const char *text)
{
	struct answer a;
	struct err e = { 0 };

	answer_parse(text, &a);
	if (a.kind == ANSWER_NO_TRANSACTION || a.kind == ANSWER_ABORTED) {
		p->clearing = false;
		if (p->mixed[0] != '\0') {
			push_talk_end(p);
			return;
		}
		push_unlocked(p);
		send_changes(p);
	} else if (a.kind == ANSWER_TRANSACTION_OTHER && p->mixed[0] == '\0' &&
		   p->answers < 4 && push_is_ours(p, a.name)) {
		abort_of(p, a.name);
	} else if (a.kind == ANSWER_TRANSACTION_OTHER) {
		in_the_way(p, a.name);
	} else if (a.kind == ANSWER_LOCKED) {
		push_locked(p);
		push_talk_end(p);
	} else {
		err_set(&e, ERR_AGAIN, "HAProxy refuses to be asked");
		push_note(p, &e);
		push_pause(p);
		push_talk_end(p);
	}
}

static void
all_answered(struct push *p)
{
	bool locked = false, ended = false;
	unsigned int i;

	for (i = 0; i < p->njobs; i++) {
		locked = locked || p->job[i].result == DEPLOY_LOCKED;
		ended = ended || p->job[i].result == DEPLOY_BUSY;
	}
	if (locked)
		push_locked(p);
	else if (ended)
		push_pause(p);
	if (p->mixed[0] == '\0') {
		push_talk_end(p);
		return;
	}
	p->clearing = true;
	abort_of(p, p->mixed);
}

/* It broke off: what was not answered may have happened or not. */
static void
explain(struct push *p, const struct err *why)
{
	struct job *j;

	/* Nothing was changed yet: they are as ready as before. */
	if (p->clearing && p->mixed[0] == '\0')
		return;
	for (j = p->job; j < p->job + p->njobs; j++) {
		if (j->at == j->plan.nsteps)
			continue;
		j->cert->have.unsure = true;
		if (j->result != DEPLOY_OK)
			continue;
		j->result = DEPLOY_FAILED;
		j->e = *why;
		/* 2.6 says nothing about a command that is too large. */
		if (j == p->job + p->at && j->plan.step[j->at].op == DEPLOY_SET)
			err_set(&j->e, why->kind,
			    "%.80s: %.100s; is HAProxy's tune.bufsize %d?",
			    j->cert->path, why->text, p->conf.bufsize);
	}
}

/*
 * The conversation is over.  Callbacks run from here, so it is put in order
 * first.
 */
void
push_change_ended(struct push *p, const struct err *why)
{
	struct job jobs[PUSH_CHANGES];
	unsigned int i, n = p->njobs;

	if (why != NULL)
		explain(p, why);
	memcpy(jobs, p->job, n * sizeof(jobs[0]));
	p->njobs = 0;
	buf_wipe(&p->body);
	for (i = 0; i < n; i++) {
		finish_job(p, &jobs[i]);
	}
}

static void
finish_job(struct push *p, struct job *j)
{
	struct cert *c = j->cert;
	bool changed =
	    strcmp(j->sha1, c->sha1) != 0 || strcmp(j->filter, c->filter) != 0;
	bool finished = j->at == j->plan.nsteps;

	c->busy = false;
	c->have.unsure = c->have.unsure || c->have.more;
	free(j->filter);
	if (j->result == DEPLOY_OK && finished && !changed &&
	    strcmp(c->have.sha1, c->sha1) != 0) {
		j->result = DEPLOY_FAILED;
		err_set(&j->e, ERR_AGAIN,
		    "%.80s: HAProxy shows the fingerprint %s, not %s", c->path,
		    c->have.sha1, c->sha1);
	}
	if (j->result != DEPLOY_OK && !changed)
		push_failed(p, c, &j->e);
	else
		push_classify(p, c);
}
