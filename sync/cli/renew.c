/* Renewals that somebody asks for: now, or when the CA's limits allow. */
#include <stdio.h>
#include <stdlib.h>

#include "sync/cli/cli.h"
#include "sync/cli/text.h"

/* What is known when all are asked for. */
struct renewals {
	json_t *said;    /* what the server said of each, for --json */
	json_t *domains; /* as they were, to be waited for */
};

/* What it waits for now may be free before --wait ends. */
static void
tell(const struct cli *cli, const char *name, const json_t *renewal)
{
	char *sentence = text_member(renewal, "sentence");

	if (!cli->json && json_is_true(json_object_get(renewal, "now")))
		cli_say("%s: %s", name, sentence);
	else if (!cli->json)
		cli_say("%s: %s: %s", name,
		    cli->dry_run ? "would wait" : "waits", sentence);
	free(sentence);
}

static int
renew_one(const struct cli *cli, const char *name, struct renewals *r)
{
	json_t *body = json_pack("{s:b, s:b}", "force", (int)cli->force,
	    "dry_run", (int)cli->dry_run);
	json_t *answer, *renewal, *domain;
	struct buf path;
	int rc;

	cli_domain_path(&path, "/api/v1/domains/", name);
	buf_puts(&path, "/renew");
	rc = cli_ask(cli, "POST", path.p, body, name, &answer);
	buf_clear(&path);
	json_decref(body);
	if (rc == CLI_OK) {
		renewal = json_object_get(answer, "renewal");
		domain = json_object_get(answer, "domain");
		tell(cli, name, renewal);
		json_array_append(r->said, renewal);
		/* An order that was under way may have ended meanwhile. */
		json_object_set(
		    domain, "version", json_object_get(renewal, "version"));
		json_array_append(r->domains, domain);
	}
	json_decref(answer);
	return rc;
}

int
cli_renew(const struct cli *cli)
{
	struct renewals r = { json_array(), json_array() };
	int status = CLI_OK, rc;
	json_t *o;

	for (int i = 0; i < cli->narg; i++) {
		rc = renew_one(cli, cli->arg[i], &r);
		if (status == CLI_OK)
			status = rc;
	}
	fflush(stdout);
	if (cli->wait_s >= 0 && !cli->dry_run &&
	    json_array_size(r.domains) > 0) {
		rc = cli_wait_renewals(cli, r.domains);
		if (status == CLI_OK)
			status = rc;
	}
	o = json_pack("{s:o}", "renewals", r.said);
	if (cli->json)
		cli_print_json(o);
	json_decref(o);
	json_decref(r.domains);
	return status;
}
