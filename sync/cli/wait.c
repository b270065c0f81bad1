/*
 * Waiting for certificates: each domain is looked at again and again until it
 * is served, until only a person can go on, or until time is up.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/loop.h"
#include "common/mem.h"
#include "sync/cli/cli.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

#define LOOK_MS 500
#define LINE_CAP 4096

struct waited {
	const char *name;
	char *said;  /* the last line about it */
	char *state; /* label and reason: a change is worth a line */
	bool renewal;
	int64_t version, attempts; /* of before it was asked for */
	bool done;
	int status; /* exit status so far */
};

static void
nap(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/*
 * Is there anything to wait for?  -1: yes; else an exit status.  An attempt
 * that comes after the end of the wait is not waited for.
 */
static int
verdict(const json_t *d, int64_t wall_deadline)
{
	const char *s = json_string_value(json_object_get(d, "status"));
	int status = s != NULL ? domain_status_parse(s) : -1;

	if (status == DOMAIN_IN_USE || status == DOMAIN_NOT_USED)
		return CLI_OK;
	if (status == DOMAIN_ACTION_REQUIRED || status == DOMAIN_DISABLED)
		return CLI_REFUSED;
	if (status == DOMAIN_CREATING && text_int_member(d, "attempts") > 0 &&
	    text_time_member(d, "next_at") > wall_deadline)
		return CLI_REFUSED;
	return -1;
}

/* Every live node serves what is newest. */
static bool
all_serve(const json_t *d)
{
	const json_t *nodes = json_object_get(d, "nodes"), *n;
	size_t i, live = 0;

	json_array_foreach (nodes, i, n) {
		if (!json_is_true(json_object_get(n, "live")))
			continue;
		live++;
		if (!json_is_true(json_object_get(n, "serving")))
			return false;
	}
	return live > 0;
}

/* The same of a renewal, whose domain is in use all the time. */
static int
renewal_verdict(const struct waited *w, const json_t *d, int64_t wall_deadline)
{
	bool failed = text_int_member(d, "attempts") > w->attempts;

	if (text_int_member(d, "version") > w->version)
		return all_serve(d) ? CLI_OK : -1;
	if (text_time_member(d, "rate_limited_until") > wall_deadline ||
	    (failed && text_time_member(d, "next_at") > wall_deadline))
		return CLI_REFUSED;
	return -1;
}

/* Remember what it says; with progress, tell when it changed. */
static void
note(const struct cli *cli, struct waited *w, const json_t *d)
{
	struct show s = { loop_wall_ms(), cli->colours };
	char *label = text_member(d, "label"), *reason, *state, *action;
	struct buf line;

	reason = text_member(d, "reason");
	action = text_member(d, "action");
	state = xasprintf("%s: %s", label, reason);
	buf_init(&line, LINE_CAP);
	show_line(&s, d, &line);
	if (action[0] != '\0')
		buf_putf(&line, "; %s", action);
	free(w->said);
	w->said = buf_take(&line);
	if (w->state == NULL || strcmp(state, w->state) != 0) {
		free(w->state);
		w->state = state;
		if (cli->progress)
			fprintf(stderr, "       %s: %s\n", w->name, w->said);
	} else {
		free(state);
	}
	free(label);
	free(reason);
	free(action);
}

static void
finish(const struct cli *cli, struct waited *w, int status)
{
	w->done = true;
	w->status = status;
	if (status != CLI_OK)
		cli_complain("%s: %s", w->name, w->said != NULL ? w->said : "");
	else if (!cli->json)
		cli_say("%s: %s", w->name, w->said);
}

static void
look_at(const struct cli *cli, struct waited *w, int64_t wall_deadline)
{
	struct answer a = { 0 };
	struct err e = { 0 };
	struct buf path;
	const json_t *d;
	int v;

	cli_domain_path(&path, "/api/v1/domains/", w->name);
	if (client_ask(cli->socket, "GET", path.p, NULL, &a, &e) == -1) {
		/* It may come back: only the end of the wait is the end. */
		w->status = cli_err_exit(&e);
		free(w->said);
		w->said = xstrdup(e.text);
	} else if (a.status == 404) {
		free(w->said);
		w->said = xstrdup("the domain was removed");
		finish(cli, w, CLI_NOT_FOUND);
	} else if (a.status == 200) {
		d = json_object_get(a.body, "domain");
		w->status = CLI_TIMEOUT;
		note(cli, w, d);
		v = w->renewal ? renewal_verdict(w, d, wall_deadline)
		               : verdict(d, wall_deadline);
		if (v != -1)
			finish(cli, w, v);
	} else {
		free(w->said);
		w->said = cli_answer_error(a.status, a.body);
		w->status = CLI_TIMEOUT;
	}
	json_decref(a.body);
	buf_clear(&path);
}

/* Look at each once; returns how many are still waited for. */
static size_t
look(const struct cli *cli, struct waited *w, size_t n, int64_t wall_deadline)
{
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		if (!w[i].done)
			look_at(cli, &w[i], wall_deadline);
		left += !w[i].done;
	}
	fflush(stdout);
	return left;
}

/* Until all have come to an end, or time is up. */
static int
wait_all(const struct cli *cli, struct waited *w, size_t n)
{
	int64_t ms = (int64_t)cli->wait_s * 1000;
	int64_t deadline = loop_now_ms() + ms, wall = loop_wall_ms() + ms;
	int status = CLI_OK;

	while (look(cli, w, n, wall) > 0 && loop_now_ms() < deadline)
		nap(LOOK_MS);
	for (size_t i = 0; i < n; i++) {
		if (!w[i].done)
			cli_complain("%s: waited %d s in vain: %s", w[i].name,
			    cli->wait_s, w[i].said != NULL ? w[i].said : "");
		if (status == CLI_OK)
			status = w[i].status;
		free(w[i].said);
		free(w[i].state);
	}
	return status;
}

int
cli_wait(const struct cli *cli, char **name, size_t n)
{
	struct waited *w = xcalloc(n, sizeof(*w));
	int status;

	for (size_t i = 0; i < n; i++)
		w[i].name = name[i];
	status = wait_all(cli, w, n);
	free(w);
	return status;
}

int
cli_wait_renewals(const struct cli *cli, const json_t *domains)
{
	size_t n = json_array_size(domains), i;
	struct waited *w = xcalloc(n + 1, sizeof(*w));
	const json_t *d;
	int status;

	json_array_foreach (domains, i, d) {
		w[i].name = json_string_value(json_object_get(d, "name"));
		w[i].version = text_int_member(d, "version");
		w[i].attempts = text_int_member(d, "attempts");
		/* Without a certificate it is as after domains-add. */
		w[i].renewal = w[i].version > 0;
	}
	status = wait_all(cli, w, n);
	free(w);
	return status;
}
