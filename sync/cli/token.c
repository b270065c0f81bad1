/* API tokens: made, listed, revoked; and who did what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/cli.h"
#include "sync/cli/grid.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

#define AUDITED 20
#define PATH_CAP 8192

/* --- create -------------------------------------------------------------------- */

/* "shop,blog" as a list. */
static json_t *
split_apps(const char *text)
{
	json_t *list = json_array();

	for (;;) {
		size_t len = strcspn(text, ",");

		json_array_append_new(list, json_stringn(text, len));
		if (text[len] == '\0')
			return list;
		text += len + 1;
	}
}

static json_t *
wish(const struct cli *cli, const char *name)
{
	json_t *o = json_pack("{s:s}", "name", name);

	if (o == NULL)
		return NULL;
	if (cli->app != NULL)
		json_object_set_new(o, "apps", split_apps(cli->app));
	if (cli->role != NULL)
		json_object_set_new(o, "role", json_string(cli->role));
	if (cli->days >= 0)
		json_object_set_new(o, "days", json_integer(cli->days));
	return o;
}

static int
create(const struct cli *cli, const char *name)
{
	json_t *body = wish(cli, name), *answer, *token;
	char *secret, *id, *role, *until;
	int rc;

	if (body == NULL) {
		cli_complain("%s: is not UTF-8", name);
		return CLI_REFUSED;
	}
	rc = cli_ask(cli, "POST", "/api/v1/tokens", body, name, &answer);
	json_decref(body);
	if (rc == CLI_OK && cli->json) {
		cli_print_json(answer);
	} else if (rc == CLI_OK) {
		token = json_object_get(answer, "token");
		secret = text_member(token, "secret");
		id = text_member(token, "id");
		role = text_member(token, "role");
		until = text_member(token, "expires_at");
		cli_say("token %s may %s for %s until %s; it is shown only now",
		    id, role, cli->app != NULL ? cli->app : "all apps",
		    until[0] != '\0' ? until : "it is revoked");
		printf("%s\n", secret);
		free(secret);
		free(id);
		free(role);
		free(until);
	}
	json_decref(answer);
	return rc;
}

/* --- list ---------------------------------------------------------------------- */

static char *
apps_of(const json_t *token)
{
	json_t *apps = json_object_get(token, "apps"), *app;
	struct buf out;
	size_t i;

	buf_init(&out, PATH_CAP);
	if (!json_is_array(apps))
		buf_puts(&out, "all");
	json_array_foreach (apps, i, app) {
		const char *s = json_string_value(app);
		char safe[256];

		buf_putf(&out, "%s%s", i > 0 ? "," : "",
		    s != NULL ? str_printable(safe, sizeof(safe), s, strlen(s))
			      : "");
	}
	return buf_take(&out);
}

static void
show_tokens(const struct cli *cli, const json_t *tokens)
{
	static const char *const head[] = { "Name", "Id", "Role", "Apps",
		"Ends" };
	struct grid g;
	struct buf out;
	json_t *t;
	size_t i;

	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (tokens, i, t) {
		bool over = json_is_true(json_object_get(t, "expired"));
		bool ends = json_is_string(json_object_get(t, "expires_at"));

		grid_put(&g, text_member(t, "name"), COLOUR_BOLD);
		grid_put(&g, text_member(t, "id"), COLOUR_NONE);
		grid_put(&g, text_member(t, "role"), COLOUR_NONE);
		grid_put(&g, apps_of(t), COLOUR_NONE);
		grid_put(&g,
		    ends ? text_member(t, "expires_at") : xstrdup("never"),
		    over ? COLOUR_RED : COLOUR_NONE);
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	if (i > 0)
		grid_print(&g, cli->colours, &out);
	grid_clear(&g);
	cli_print(&out);
}

static int
list(const struct cli *cli)
{
	json_t *answer;
	int rc = cli_ask(cli, "GET", "/api/v1/tokens", NULL, "", &answer);

	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		show_tokens(cli, json_object_get(answer, "tokens"));
	json_decref(answer);
	return rc;
}

/* --- revoke -------------------------------------------------------------------- */

static int
revoke(const struct cli *cli, const char *which)
{
	struct buf path;
	json_t *answer;
	int rc;

	cli_domain_path(&path, "/api/v1/tokens/", which);
	rc = cli_ask(cli, "DELETE", path.p, NULL, which, &answer);
	buf_clear(&path);
	json_decref(answer);
	if (rc == CLI_OK && cli->json) {
		answer = json_pack("{s:s}", "revoked", which);
		cli_print_json(answer);
		json_decref(answer);
	} else if (rc == CLI_OK) {
		cli_say("token %s is revoked", which);
	}
	return rc;
}

int
cli_token(const struct cli *cli)
{
	const char *what = cli->arg[0];

	if (strcmp(what, "list") == 0 && cli->narg == 1)
		return list(cli);
	if (strcmp(what, "create") == 0 && cli->narg == 2)
		return create(cli, cli->arg[1]);
	if (strcmp(what, "revoke") == 0 && cli->narg == 2)
		return revoke(cli, cli->arg[1]);
	cli_complain("usage: certfleet token create NAME, token list or token "
		     "revoke ID; see certfleet token --help");
	return CLI_USAGE;
}

/* --- who did what -------------------------------------------------------------- */

int
cli_audit(const struct cli *cli)
{
	struct show s = { loop_wall_ms(), cli->colours };
	json_t *answer, *entry;
	char path[64];
	struct buf out;
	size_t i;
	int rc;

	snprintf(path, sizeof(path), "/api/v1/audit?n=%d",
	    cli->n > 0 ? cli->n : AUDITED);
	rc = cli_ask(cli, "GET", path, NULL, "", &answer);
	if (rc == CLI_OK && cli->json) {
		cli_print_json(answer);
	} else if (rc == CLI_OK) {
		buf_init(&out, CLI_OUTPUT_MAX);
		json_array_foreach (json_object_get(answer, "audit"), i, entry)
			show_audit(&s, entry, &out);
		cli_print(&out);
	}
	json_decref(answer);
	return rc;
}
