/*
 * Certificates of other programs become certfleet's: nothing is ordered.
 *
 * Each is shown to the server first, which changes nothing yet but says what is
 * wrong with it and when it ends; then they go in, those that last longest
 * first, so that of several for one name the best is the first that is served.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/cli.h"
#include "sync/cli/import_find.h"
#include "sync/cli/text.h"

#define PATH_CAP 1024

/* What came of one. */
struct outcome {
	const struct found *found;
	json_t *answer; /* NULL: refused */
	char *error;    /* why, or NULL */
	int64_t not_after;
};

struct import {
	const struct cli *cli;
	const char *app;
	struct finds finds;
	struct outcome *of;     /* each find, in its order */
	struct outcome **order; /* the longest first */
	json_t *seen;           /* names that a better one has; when dry */
	char **name;            /* that have a certificate now */
	size_t nnames;
	int status;
};

static void
refused(struct import *im, struct outcome *o, char *stolen)
{
	free(o->error);
	o->error = stolen;
	if (im->status == CLI_OK)
		im->status = CLI_REFUSED;
}

/* --- asking ------------------------------------------------------------------------ */

/* A file, and what belongs behind it, as text of the body. */
static int
put_file(json_t *body, const char *field, const char *path, const char *more,
    struct err *e)
{
	struct buf pem;
	json_t *text;
	int rc;

	buf_init(&pem, IMPORT_FILE_MAX);
	rc = import_read(path, &pem, e);
	if (rc == 0 && more != NULL)
		rc = import_read(more, &pem, e);
	if (rc == 0) {
		text = json_stringn(pem.p, pem.len);
		if (text == NULL)
			rc = err_set(e, ERR_REFUSED,
			    "%.120s is not text; it should be PEM", path);
		else
			json_object_set_new(body, field, text);
	}
	buf_wipe(&pem);
	return rc;
}

static json_t *
body_of(const struct found *f, bool dry, struct err *e)
{
	json_t *body = json_pack("{s:b}", "dry_run", (int)dry);

	if (f->why != NULL)
		err_set(e, ERR_REFUSED, "%s", f->why);
	else if (put_file(body, "tlscert", f->cert, f->issuer, e) == 0 &&
		 put_file(body, "tlskey", f->key, NULL, e) == 0) {
		if (f->ca != NULL)
			json_object_set_new(body, "ca", json_string(f->ca));
		return body;
	}
	json_decref(body);
	return NULL;
}

/* Ask about one; -1: the server cannot be asked any more. */
static int
ask(struct import *im, struct outcome *o, bool dry)
{
	struct answer a = { 0 };
	struct err e = { 0 };
	struct buf path;
	json_t *body = body_of(o->found, dry, &e);
	int rc;

	json_decref(o->answer);
	o->answer = NULL;
	if (body == NULL) {
		refused(im, o, xstrdup(e.text));
		return 0;
	}
	cli_domain_path(&path, "/api/v1/apps/", im->app);
	buf_puts(&path, "/import");
	rc = client_ask(im->cli->socket, "POST", path.p, body, &a, &e);
	buf_clear(&path);
	json_decref(body);
	if (rc == -1) {
		cli_complain("%s", e.text);
		im->status = cli_err_exit(&e);
		return -1;
	}
	if (a.status == 200) {
		o->answer = a.body;
		o->not_after = text_time_member(
		    json_object_get(a.body, "certificate"), "not_after");
		return 0;
	}
	refused(im, o, cli_answer_error(a.status, a.body));
	json_decref(a.body);
	if (a.status == 422)
		return 0;
	cli_complain("%s: %s", o->found->cert, o->error);
	im->status = cli_status_exit(a.status);
	return -1;
}

static int
by_end(const void *a, const void *b)
{
	const struct outcome *x = *(struct outcome *const *)a;
	const struct outcome *y = *(struct outcome *const *)b;

	if (x->not_after != y->not_after)
		return x->not_after > y->not_after ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* All of them; -1: it stopped in the middle. */
static int
ask_all(struct import *im)
{
	size_t n = im->finds.n;

	for (size_t i = 0; i < n; i++) {
		im->of[i].found = &im->finds.item[i];
		im->order[i] = &im->of[i];
		if (ask(im, &im->of[i], true) == -1)
			return -1;
	}
	qsort(im->order, n, sizeof(*im->order), by_end);
	for (size_t i = 0; i < n && !im->cli->dry_run; i++)
		if (im->order[i]->answer != NULL &&
		    ask(im, im->order[i], false) == -1)
			return -1;
	return 0;
}

/* --- telling ----------------------------------------------------------------------- */

static bool
is_taken(const char *result)
{
	return strcmp(result, "imported") == 0 ||
	       strcmp(result, "replaced") == 0 || strcmp(result, "kept") == 0;
}

/*
 * What is to be remembered of a name.  In a dry run the server has not taken
 * the better one of before: so it is told here what this one would be.
 */
static void
note_name(struct import *im, json_t *told)
{
	const char *name = json_string_value(json_object_get(told, "name"));
	const char *result = json_string_value(json_object_get(told, "result"));

	if (name == NULL || result == NULL)
		return;
	if (strcmp(result, "taken") == 0 || strcmp(result, "skipped") == 0) {
		if (im->status == CLI_OK)
			im->status = CLI_REFUSED;
	} else if (!is_taken(result)) {
		return;
	} else if (im->cli->dry_run &&
		   json_object_get(im->seen, name) != NULL) {
		json_object_set_new(told, "result", json_string("worse"));
		json_object_set_new(
		    told, "detail", json_string("another one here ends later"));
	} else {
		json_object_set_new(im->seen, name, json_true());
		im->name =
		    xrealloc(im->name, (im->nnames + 1) * sizeof(*im->name));
		im->name[im->nnames++] = text_member(told, "name");
	}
}

static void
note_all(struct import *im)
{
	json_t *told;
	size_t i;

	for (size_t at = 0; at < im->finds.n; at++)
		json_array_foreach (
		    json_object_get(im->order[at]->answer, "names"), i, told)
			note_name(im, told);
}

static void
say_name(const json_t *told)
{
	char *name = text_member(told, "name");
	char *result = text_member(told, "result");
	char *detail = text_member(told, "detail");
	int64_t renewal = text_time_member(told, "renew_at");
	char at[STR_TIME_MAX], line[512];

	if (renewal > 0)
		snprintf(line, sizeof(line), ", renewed from %.10s on",
		    str_time(at, renewal));
	else
		line[0] = '\0';
	printf("       %s: %s%s%s%s\n", name, result, line,
	    detail[0] != '\0' ? ": " : "", detail);
	free(name);
	free(result);
	free(detail);
}

static void
say_one(const struct outcome *o)
{
	const json_t *told;
	char at[STR_TIME_MAX];
	size_t i;

	if (o->answer == NULL) {
		cli_complain("%s: skipped: %s", o->found->cert,
		    o->error != NULL ? o->error : "it was not asked about");
		return;
	}
	cli_say(
	    "%s, good until %.10s", o->found->cert, str_time(at, o->not_after));
	json_array_foreach (json_object_get(o->answer, "names"), i, told)
		say_name(told);
}

static void
say_all(const struct import *im)
{
	size_t skipped = 0;

	for (size_t i = 0; i < im->finds.n; i++) {
		say_one(&im->of[i]);
		skipped += im->of[i].answer == NULL;
	}
	cli_say("%s: %zu certificate%s, %zu skipped; %zu name%s %s, nothing is "
		"ordered",
	    im->finds.from, im->finds.n, im->finds.n == 1 ? "" : "s", skipped,
	    im->nnames, im->nnames == 1 ? "" : "s",
	    im->cli->dry_run ? "would be taken" : "taken");
	fflush(stdout);
}

static json_t *
json_one(const struct outcome *o)
{
	char path[PATH_CAP];
	json_t *cert = json_object_get(o->answer, "certificate");
	json_t *names = json_object_get(o->answer, "names");

	str_printable(
	    path, sizeof(path), o->found->cert, strlen(o->found->cert));
	return json_pack("{s:s, s:o, s:o, s:o}", "path", path, "error",
	    o->error != NULL ? json_string(o->error) : json_null(),
	    "certificate", cert != NULL ? json_incref(cert) : json_null(),
	    "names", names != NULL ? json_incref(names) : json_array());
}

static void
print_all(const struct import *im)
{
	json_t *list = json_array(), *all;

	for (size_t i = 0; i < im->finds.n; i++)
		json_array_append_new(list, json_one(&im->of[i]));
	all = json_pack("{s:s, s:s, s:b, s:o}", "from", im->finds.from, "app",
	    im->app, "dry_run", (int)im->cli->dry_run, "certificates", list);
	cli_print_json(all);
	json_decref(all);
}

static void
clear(struct import *im)
{
	for (size_t i = 0; i < im->finds.n; i++) {
		json_decref(im->of[i].answer);
		free(im->of[i].error);
	}
	for (size_t i = 0; i < im->nnames; i++)
		free(im->name[i]);
	free(im->name);
	json_decref(im->seen);
	free(im->of);
	free(im->order);
	import_clear(&im->finds);
}

int
cli_import(const struct cli *cli)
{
	struct import im = { .cli = cli,
		.app = cli->app != NULL ? cli->app : CLI_APP };
	struct err e = { 0 };
	int rc;

	if (import_find(&im.finds, cli->arg[0], cli->from, &e) == -1) {
		cli_complain("%s", e.text);
		import_clear(&im.finds);
		if (strcmp(e.type, IMPORT_NONE) == 0)
			return CLI_NOT_FOUND;
		return e.kind == ERR_REFUSED ? CLI_USAGE : CLI_FAILED;
	}
	im.of = xcalloc(im.finds.n, sizeof(*im.of));
	im.order = xcalloc(im.finds.n, sizeof(struct outcome *));
	im.seen = json_object();
	rc = ask_all(&im);
	if (rc == 0)
		note_all(&im);
	if (rc == 0 && cli->json)
		print_all(&im);
	else if (rc == 0)
		say_all(&im);
	if (rc == 0 && cli->wait_s >= 0 && !cli->dry_run && im.nnames > 0) {
		rc = cli_wait(cli, im.name, im.nnames);
		if (im.status == CLI_OK)
			im.status = rc;
	}
	rc = im.status;
	clear(&im);
	return rc;
}
