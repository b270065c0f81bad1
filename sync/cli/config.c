/* The configuration: checked as a file, or shown as it is in effect. */
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/cli.h"
#include "sync/cli/grid.h"
#include "sync/cli/text.h"

/* Errors go to standard error, a line each. */
static int
check(const struct cli *cli)
{
	struct err e = { 0 };
	struct conf *conf;
	json_t *o;
	bool valid;

	if (!cli->json)
		return conf_check(cli->conf) == 0 ? CLI_OK : CLI_FAILED;
	conf = conf_load(cli->conf, &e);
	valid = conf != NULL;
	conf_free(conf);
	o = json_pack("{s:s, s:b, s:s?}", "file", cli->conf, "valid",
	    (int)valid, "error", valid ? NULL : e.text);
	cli_print_json(o);
	json_decref(o);
	return valid ? CLI_OK : CLI_FAILED;
}

static char *
value_text(const json_t *value)
{
	size_t n = json_array_size(value);
	struct buf list;
	json_t *one;
	char *text;

	if (json_is_null(value))
		return xstrdup("");
	if (json_is_string(value)) {
		one = json_pack("{s:O}", "v", value);
		text = text_member(one, "v");
		json_decref(one);
		return text;
	}
	if (!json_is_array(value))
		return json_dumps(value, JSON_ENCODE_ANY);
	buf_init(&list, CLI_OUTPUT_MAX);
	for (size_t i = 0; i < n; i++) {
		text = value_text(json_array_get(value, i));
		buf_putf(&list, "%s%s", i > 0 ? ", " : "", text);
		free(text);
	}
	return n > 0 ? buf_take(&list) : xstrdup("");
}

static void
print(const struct cli *cli, const json_t *settings)
{
	static const char *const head[] = { "Setting", "Value", "" };
	const json_t *s;
	struct buf out;
	struct grid g;
	size_t i;

	grid_init(&g, sizeof(head) / sizeof(head[0]), head);
	json_array_foreach (settings, i, s) {
		bool initial = json_is_true(json_object_get(s, "default"));
		enum colour c = initial ? COLOUR_DIM : COLOUR_NONE;

		grid_put(&g, text_member(s, "name"), c);
		grid_put(&g, value_text(json_object_get(s, "value")), c);
		grid_put(&g, xstrdup(initial ? "default" : ""), c);
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	grid_print(&g, cli->colours, &out);
	grid_clear(&g);
	cli_print(&out);
}

static int
show(const struct cli *cli)
{
	struct cli copy = *cli;
	char *path = cli_socket(cli);
	json_t *answer;
	int rc;

	if (path == NULL)
		return CLI_FAILED;
	copy.socket = path;
	rc = cli_ask(&copy, "GET", "/api/v1/config", NULL, "", &answer);
	free(path);
	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		print(cli, json_object_get(answer, "settings"));
	json_decref(answer);
	return rc;
}

int
cli_config(const struct cli *cli)
{
	if (strcmp(cli->arg[0], "check") == 0)
		return check(cli);
	if (strcmp(cli->arg[0], "show") == 0)
		return show(cli);
	cli_complain("\"check\" or \"show\", not \"%s\"", cli->arg[0]);
	return CLI_USAGE;
}
