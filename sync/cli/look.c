/* What is now: a name's DNS, and who leads. */
#include <string.h>

#include "common/loop.h"
#include "sync/cli/cli.h"
#include "sync/cli/show.h"

typedef void show_fn(const struct show *, const json_t *, struct buf *);

static void
tell(const struct cli *cli, const json_t *answer, const char *member,
    show_fn *fn)
{
	struct show s = { loop_wall_ms(), cli->colours };
	struct buf out;

	if (cli->json) {
		cli_print_json(answer);
		return;
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	fn(&s, json_object_get(answer, member), &out);
	cli_print(&out);
}

/* For scripts: what DNS does not allow is a failure. */
static bool
passes(const json_t *check)
{
	const char *verdict =
	    json_string_value(json_object_get(check, "verdict"));

	return verdict != NULL && strcmp(verdict, "ok") == 0;
}

int
cli_check(const struct cli *cli)
{
	struct buf path;
	json_t *answer;
	int rc;

	cli_domain_path(&path, "/api/v1/check/", cli->arg[0]);
	rc = cli_ask(cli, "GET", path.p, NULL, cli->arg[0], &answer);
	buf_clear(&path);
	if (rc == CLI_OK) {
		tell(cli, answer, "check", show_check);
		if (!passes(json_object_get(answer, "check")))
			rc = CLI_FAILED;
	}
	json_decref(answer);
	return rc;
}

int
cli_leader(const struct cli *cli)
{
	json_t *answer;
	int rc = cli_ask(cli, "GET", "/api/v1/leader", NULL, "", &answer);

	if (rc == CLI_OK) {
		tell(cli, answer, "leader", show_leader);
		if (json_is_null(json_object_get(
			json_object_get(answer, "leader"), "node")))
			rc = CLI_FAILED;
	}
	json_decref(answer);
	return rc;
}
