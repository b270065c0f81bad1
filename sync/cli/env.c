/* An app's variables: shown, set and unset; values are never shown again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/cli/cli.h"
#include "sync/cli/grid.h"
#include "sync/cli/text.h"

#define VALUE_MAX (16 * 1024)
#define HIDDEN "****"

static const char *
app_of(const struct cli *cli)
{
	return cli->app != NULL ? cli->app : CLI_APP;
}

/* --- where values come from ------------------------------------------------- */

/* All of it, but for the line's end. */
static int
read_value(FILE *in, const char *what, struct buf *out)
{
	char bytes[1024];
	size_t n;
	int rc = 0;

	while (rc == 0 && (n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		rc = buf_put(out, bytes, n);
	mem_wipe(bytes, sizeof(bytes));
	if (rc == -1)
		cli_complain("%s has more than %d bytes", what, VALUE_MAX);
	else if (ferror(in) != 0) {
		cli_complain("%s cannot be read", what);
		rc = -1;
	}
	while (out->len > 0 && strchr("\r\n", out->p[out->len - 1]) != NULL)
		out->p[--out->len] = '\0';
	return rc;
}

static int
read_file(const char *path, struct buf *out)
{
	FILE *in = fopen(path, "re");
	int rc;

	if (in == NULL) {
		cli_complain("%s: %s", path, strerror(errno));
		return -1;
	}
	setvbuf(in, NULL, _IONBF, 0); /* no copy that is not wiped */
	rc = read_value(in, path, out);
	fclose(in);
	return rc;
}

/*
 * The value of NAME=VALUE, NAME=@FILE or NAME=-.  What stood on the command
 * line is overwritten: others may see it there no longer than need be.
 */
static int
take_value(char *given, bool *stdin_used, struct buf *out)
{
	int rc;

	if (given[0] == '@')
		return read_file(given + 1, out);
	if (strcmp(given, "-") == 0) {
		if (*stdin_used) {
			cli_complain("only one value can come from standard "
				     "input");
			return -1;
		}
		*stdin_used = true;
		setvbuf(stdin, NULL, _IONBF, 0);
		return read_value(stdin, "standard input", out);
	}
	rc = buf_puts(out, given);
	if (rc == -1)
		cli_complain("a value has more than %d bytes", VALUE_MAX);
	mem_wipe(given, strlen(given));
	return rc;
}

static int
add_change(char *arg, bool *stdin_used, json_t *changes)
{
	char *equal = strchr(arg, '=');
	struct buf value;
	json_t *one = NULL;

	if (equal == NULL || equal == arg) {
		cli_complain("env-set wants NAME=VALUE, NAME=@FILE or NAME=-");
		return CLI_USAGE;
	}
	*equal = '\0';
	buf_init(&value, VALUE_MAX);
	if (take_value(equal + 1, stdin_used, &value) == -1) {
		buf_wipe(&value);
		return CLI_FAILED;
	}
	if (memchr(value.p, '\0', value.len) == NULL)
		one = json_pack("{s:s, s:s}", "name", arg, "value", value.p);
	buf_wipe(&value);
	if (one == NULL) {
		cli_complain("the value of %s is no text", arg);
		return CLI_REFUSED;
	}
	json_array_append_new(changes, one);
	return CLI_OK;
}

/* --- asking -------------------------------------------------------------------- */

static int
ask(const struct cli *cli, const char *method, const json_t *body,
    json_t **answer)
{
	struct buf path;
	int rc;

	cli_domain_path(&path, "/v1/apps/", app_of(cli));
	buf_puts(&path, "/variables");
	rc = cli_ask(cli, method, path.p, body, "", answer);
	buf_clear(&path);
	return rc;
}

/* What was changed, and what the server has to say about it. */
static void
tell(const struct cli *cli, const json_t *answer, const char *done)
{
	const json_t *warnings = json_object_get(answer, "warnings"), *one;
	char *provider = text_member(answer, "dns_provider");
	size_t i;

	for (int j = 0; j < cli->narg; j++)
		cli_say("%s is %s for app %s", cli->arg[j], done, app_of(cli));
	if (provider[0] == '\0')
		cli_say("DNS_PROVIDER is not set: TXT records of wildcards are "
			"made by hand");
	free(provider);
	json_array_foreach (warnings, i, one)
		cli_complain("warning: %s", json_string_value(one));
}

static int
change(const struct cli *cli, json_t *stolen_changes, const char *done)
{
	json_t *body = json_pack("{s:o}", "variables", stolen_changes), *answer;
	int rc = ask(cli, "PUT", body, &answer);

	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		tell(cli, answer, done);
	json_decref(answer);
	json_decref(body);
	return rc;
}

/* --- the commands ----------------------------------------------------------------- */

static void
print_variables(const struct cli *cli, const json_t *answer)
{
	static const char *const head[] = { "NAME", "VALUE" };
	const json_t *list = json_object_get(answer, "variables"), *v;
	struct grid g;
	struct buf out;
	size_t i;

	if (json_array_size(list) == 0) {
		cli_say("app %s has no variables: TXT records of wildcards are "
			"made by hand",
		    app_of(cli));
		return;
	}
	grid_init(&g, 2, head);
	json_array_foreach (list, i, v) {
		bool secret = !json_is_string(json_object_get(v, "value"));

		grid_put(&g, text_member(v, "name"), COLOUR_NONE);
		grid_put(&g, secret ? xstrdup(HIDDEN) : text_member(v, "value"),
		    secret ? COLOUR_DIM : COLOUR_NONE);
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	grid_print(&g, cli->colours, &out);
	grid_clear(&g);
	cli_print(&out);
}

int
cli_env(const struct cli *cli)
{
	json_t *answer;
	int rc = ask(cli, "GET", NULL, &answer);

	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		print_variables(cli, answer);
	json_decref(answer);
	return rc;
}

int
cli_env_set(const struct cli *cli)
{
	json_t *changes = json_array();
	bool stdin_used = false;
	int rc = CLI_OK;

	for (int i = 0; rc == CLI_OK && i < cli->narg; i++)
		rc = add_change(cli->arg[i], &stdin_used, changes);
	if (rc == CLI_OK)
		return change(cli, changes, "set");
	json_decref(changes);
	return rc;
}

int
cli_env_unset(const struct cli *cli)
{
	json_t *changes = json_array(), *one;

	for (int i = 0; i < cli->narg; i++) {
		one = json_pack("{s:s, s:n}", "name", cli->arg[i], "value");
		if (one == NULL) {
			cli_complain("%s: is not UTF-8", cli->arg[i]);
			json_decref(changes);
			return CLI_REFUSED;
		}
		json_array_append_new(changes, one);
	}
	return change(cli, changes, "unset");
}
