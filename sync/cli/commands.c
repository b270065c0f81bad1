/* The commands: what each asks of the server and how it tells the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/cli.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

#define PAGE 10000
#define EVENTS 20        /* shown */
#define EVENTS_BEFORE 10 /* shown before those that follow */
#define PATH_CAP 8192

typedef void show_fn(const struct show *, const json_t *, struct buf *);

static struct show
show_now(const struct cli *cli)
{
	return (struct show){ loop_wall_ms(), cli->colours };
}

/* Tell what came: o whole as JSON, or its member for people. */
static void
tell(const struct cli *cli, const json_t *o, const char *member, show_fn *fn)
{
	const json_t *part = member != NULL ? json_object_get(o, member) : o;
	struct show s = show_now(cli);
	struct buf out;

	if (cli->json) {
		cli_print_json(o);
		return;
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	fn(&s, part, &out);
	cli_print(&out);
}

/* One page; returns how many there are in all through *total. */
static int
get_page(const struct cli *cli, size_t offset, json_t *list, size_t *total)
{
	struct buf path;
	json_t *page, *domains;
	int rc;

	buf_init(&path, PATH_CAP);
	buf_putf(&path, "/api/v1/domains?limit=%d&offset=%zu", PAGE, offset);
	if (cli->app != NULL) {
		buf_puts(&path, "&app=");
		client_encode(&path, cli->app);
	}
	rc = cli_ask(cli, "GET", path.p, NULL, "", &page);
	buf_clear(&path);
	if (rc != CLI_OK)
		return rc;
	domains = json_object_get(page, "domains");
	*total = json_array_size(domains) > 0
	             ? (size_t)text_int_member(page, "total")
	             : 0;
	json_array_extend(list, domains);
	json_decref(page);
	return CLI_OK;
}

int
cli_domains(const struct cli *cli)
{
	json_t *list = json_array(), *all;
	size_t total;
	int rc;

	do {
		rc = get_page(cli, json_array_size(list), list, &total);
	} while (rc == CLI_OK && json_array_size(list) < total);
	all = json_pack("{s:o}", "domains", list);
	if (rc == CLI_OK)
		tell(cli, all, "domains", show_domains);
	json_decref(all);
	return rc;
}

/* --- add and remove -------------------------------------------------------- */

static const char *
app_of(const struct cli *cli)
{
	return cli->app != NULL ? cli->app : CLI_APP;
}

void
cli_domains_path(const struct cli *cli, struct buf *path)
{
	cli_domain_path(path, "/v1/apps/", app_of(cli));
	buf_puts(path, "/domains");
}

/* The first failure is the command's. */
static void
keep_first(int *status, int rc)
{
	if (*status == CLI_OK)
		*status = rc;
}

static int
add_one(const struct cli *cli, const char *name, json_t *added)
{
	json_t *body, *answer;
	struct buf path;
	char *known;
	int rc;

	body = json_pack("{s:{s:s}}", "domain", "name", name);
	if (body == NULL) {
		cli_complain("%s: is not UTF-8", name);
		return CLI_REFUSED;
	}
	rc = cli_put_certificate(cli, json_object_get(body, "domain"));
	if (rc != CLI_OK) {
		json_decref(body);
		return rc;
	}
	cli_domains_path(cli, &path);
	rc = cli_ask(cli, "POST", path.p, body, name, &answer);
	buf_clear(&path);
	json_decref(body);
	if (rc != CLI_OK)
		return rc;
	known = text_member(json_object_get(answer, "domain"), "name");
	if (!cli->json)
		cli_say("%s is added to app %s", known, app_of(cli));
	free(known);
	json_array_append(added, json_object_get(answer, "domain"));
	json_decref(answer);
	return CLI_OK;
}

static int
wait_for(const struct cli *cli, const json_t *added)
{
	size_t n = json_array_size(added), i;
	char **name = xcalloc(n + 1, sizeof(*name));
	const json_t *d;
	int rc;

	json_array_foreach (added, i, d)
		name[i] = text_member(d, "name");
	rc = cli_wait(cli, name, n);
	for (i = 0; i < n; i++)
		free(name[i]);
	free(name);
	return rc;
}

int
cli_domains_add(const struct cli *cli)
{
	json_t *added = json_array(), *o;
	int status = CLI_OK;

	for (int i = 0; i < cli->narg; i++)
		keep_first(&status, add_one(cli, cli->arg[i], added));
	fflush(stdout);
	if (cli->wait_s >= 0 && json_array_size(added) > 0)
		keep_first(&status, wait_for(cli, added));
	o = json_pack("{s:o}", "domains", added);
	if (cli->json)
		cli_print_json(o);
	json_decref(o);
	return status;
}

/* With --dry-run it is only seen whether there is one. */
static int
remove_one(const struct cli *cli, const char *name)
{
	struct buf path;
	json_t *answer;
	int rc;

	cli_domains_path(cli, &path);
	buf_puts(&path, "/");
	client_encode(&path, name);
	rc = cli_ask(
	    cli, cli->dry_run ? "GET" : "DELETE", path.p, NULL, name, &answer);
	buf_clear(&path);
	json_decref(answer);
	if (rc == CLI_OK && !cli->json)
		cli_say("%s %s removed from app %s", name,
		    cli->dry_run ? "would be" : "is", app_of(cli));
	return rc;
}

int
cli_domains_remove(const struct cli *cli)
{
	json_t *removed, *o;
	int status = CLI_OK, rc;

	if (!cli->dry_run &&
	    !cli_confirm(cli, true, "yes",
		"%d domain%s and the certificates are removed from app %s.",
		cli->narg, cli->narg == 1 ? "" : "s", app_of(cli)))
		return CLI_USAGE;
	removed = json_array();
	for (int i = 0; i < cli->narg; i++) {
		rc = remove_one(cli, cli->arg[i]);
		if (rc == CLI_OK)
			json_array_append_new(
			    removed, json_string(cli->arg[i]));
		keep_first(&status, rc);
	}
	o = json_pack(
	    "{s:o}", cli->dry_run ? "would_remove" : "removed", removed);
	if (cli->json)
		cli_print_json(o);
	json_decref(o);
	return status;
}

/* --- looking --------------------------------------------------------------- */

/* Ask for path and tell it. */
static int
look(const struct cli *cli, const char *path, const char *what,
    const char *member, show_fn *fn)
{
	json_t *answer;
	int rc = cli_ask(cli, "GET", path, NULL, what, &answer);

	if (rc == CLI_OK)
		tell(cli, answer, member, fn);
	json_decref(answer);
	return rc;
}

int
cli_status(const struct cli *cli)
{
	json_t *answer;
	int rc = cli_ask(cli, "GET", "/api/v1/status", NULL, "", &answer);

	if (rc == CLI_OK) {
		tell(cli, answer, NULL, show_status);
		/* For scripts: what shows red is a failure. */
		if (json_is_string(json_object_get(answer, "error")) ||
		    !json_is_true(json_object_get(
			json_object_get(answer, "redis"), "up")))
			rc = CLI_FAILED;
	}
	json_decref(answer);
	return rc;
}

int
cli_why(const struct cli *cli)
{
	struct buf path;
	int rc;

	cli_domain_path(&path, "/api/v1/domains/", cli->arg[0]);
	rc = look(cli, path.p, cli->arg[0], "domain", show_why);
	buf_clear(&path);
	return rc;
}

int
cli_nodes(const struct cli *cli)
{
	if (cli->narg == 1)
		return cli_nodes_of(cli);
	return look(cli, "/api/v1/nodes", "", "nodes", show_nodes);
}

static void
tell_event(const struct cli *cli, json_t *event)
{
	struct show s = show_now(cli);
	struct buf out;

	if (cli->json) {
		json_dumpf(event, stdout,
		    JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
		putchar('\n');
		fflush(stdout);
		return;
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	show_event(&s, event, &out);
	cli_print(&out);
}

static int
got_line(void *arg, const char *line, struct err *e)
{
	json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(event)) {
		json_decref(event);
		return err_set(
		    e, ERR_BUG, "certfleet-sync sends an event not in JSON");
	}
	tell_event(arg, event);
	json_decref(event);
	return 0;
}

static int
follow(const struct cli *cli)
{
	struct cli copy = *cli;
	struct answer a = { 0 };
	struct err e = { 0 };
	char path[64], *why;
	int rc;

	snprintf(path, sizeof(path), "/api/v1/events?follow=1&n=%d",
	    cli->n >= 0 ? cli->n : EVENTS_BEFORE);
	rc = client_follow(cli->socket, path, got_line, &copy, &a, &e);
	if (rc == -1) {
		cli_complain("%s", e.text);
		rc = cli_err_exit(&e);
	} else if (a.status != 200) {
		why = cli_answer_error(a.status, a.body);
		cli_complain("%s", why);
		free(why);
		rc = cli_status_exit(a.status);
	} else {
		cli_complain("certfleet-sync has ended the events");
		rc = CLI_UNREACHABLE;
	}
	json_decref(a.body);
	return rc;
}

int
cli_events(const struct cli *cli)
{
	json_t *answer, *event;
	char path[64];
	size_t i;
	int rc;

	if (cli->follow)
		return follow(cli);
	snprintf(path, sizeof(path), "/api/v1/events?n=%d",
	    cli->n > 0 ? cli->n : EVENTS);
	rc = cli_ask(cli, "GET", path, NULL, "", &answer);
	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		json_array_foreach (json_object_get(answer, "events"), i, event)
			tell_event(cli, event);
	json_decref(answer);
	return rc;
}
