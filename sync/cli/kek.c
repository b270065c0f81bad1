/* The key ring: what is in it, and that it is backed up. */
#include <stdlib.h>
#include <string.h>

#include "sync/cli/cli.h"
#include "sync/cli/kek.h"

static int
backed_up(const struct cli *cli)
{
	char digest[KEK_DIGEST_SIZE];
	struct err e = { 0 };
	struct conf *conf = conf_load_public(cli->conf, &e);
	char *path;
	json_t *o;
	int rc;

	if (conf == NULL)
		return CLI_FAILED;
	path = kek_path(conf);
	rc = kek_digest(path, digest, &e);
	if (rc == 0)
		rc = kek_say_backed_up(conf, digest, &e);
	if (rc == -1)
		cli_complain("%s", e.text);
	else if (!cli->json)
		cli_say("noted that %s, as it is now, is backed up", path);
	if (rc == 0 && cli->json) {
		o = json_pack("{s:s, s:s}", "file", path, "sha256", digest);
		cli_print_json(o);
		json_decref(o);
	}
	free(path);
	conf_free(conf);
	return rc == 0 ? CLI_OK : CLI_FAILED;
}

int
cli_kek(const struct cli *cli)
{
	if (strcmp(cli->arg[0], "backed-up") == 0)
		return backed_up(cli);
	cli_complain("\"backed-up\", not \"%s\"", cli->arg[0]);
	return CLI_USAGE;
}
