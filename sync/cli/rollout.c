/* Which certificate is served where, and back to the one of before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "sync/cli/cli.h"
#include "sync/cli/show.h"
#include "sync/cli/text.h"

static void
tell(const struct cli *cli, const json_t *answer)
{
	const json_t *d = json_object_get(answer, "domain");
	const json_t *custom = json_object_get(d, "custom");
	bool own = json_is_object(custom);
	char *until = text_member(own ? custom : d, "not_after");
	char *renewed = text_member(d, "renew_at");

	cli_say("%s: the certificate of before, until %s, is on its way to the "
		"nodes",
	    cli->arg[0], until);
	if (!own)
		cli_say("it is renewed at %s and not before, unless you say so",
		    renewed);
	free(until);
	free(renewed);
}

int
cli_rollback(const struct cli *cli)
{
	json_t *body, *answer;
	struct buf path;
	int rc;

	if (!cli_confirm(cli, false, cli->arg[0],
		"Every node is to serve the certificate of before."))
		return CLI_USAGE;
	body = json_pack("{s:s*}", "reason", cli->reason);
	if (body == NULL) {
		cli_complain("--reason is not UTF-8");
		return CLI_USAGE;
	}
	cli_domain_path(&path, "/api/v1/domains/", cli->arg[0]);
	buf_puts(&path, "/rollback");
	rc = cli_ask(cli, "POST", path.p, body, cli->arg[0], &answer);
	buf_clear(&path);
	json_decref(body);
	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		tell(cli, answer);
	json_decref(answer);
	return rc;
}

int
cli_nodes_of(const struct cli *cli)
{
	struct show s = { loop_wall_ms(), cli->colours };
	json_t *answer;
	struct buf path, out;
	int rc;

	cli_domain_path(&path, "/api/v1/domains/", cli->arg[0]);
	buf_puts(&path, "?shown=1");
	rc = cli_ask(cli, "GET", path.p, NULL, cli->arg[0], &answer);
	buf_clear(&path);
	if (rc == CLI_OK && cli->json) {
		cli_print_json(answer);
	} else if (rc == CLI_OK) {
		buf_init(&out, CLI_OUTPUT_MAX);
		show_nodes_of(&s, json_object_get(answer, "domain"), &out);
		cli_print(&out);
	}
	json_decref(answer);
	return rc;
}
