/* A domain's certificate by its owner's wish: an own one, Let's Encrypt or not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "sync/cli/cli.h"
#include "sync/cli/text.h"

#define PEM_MAX (120 * 1024)

/* A whole file into out; complains. */
static int
read_pem(const char *path, struct buf *out)
{
	FILE *in = fopen(path, "re");
	char bytes[4096];
	size_t n;
	int rc = 0;

	if (in == NULL) {
		cli_complain("%s: %s", path, strerror(errno));
		return -1;
	}
	while (rc == 0 && (n = fread(bytes, 1, sizeof(bytes), in)) > 0)
		rc = buf_put(out, bytes, n);
	if (rc == -1)
		cli_complain("%s has more than %d bytes", path, PEM_MAX);
	else if (ferror(in)) {
		cli_complain("%s cannot be read", path);
		rc = -1;
	}
	mem_wipe(bytes, sizeof(bytes));
	fclose(in);
	return rc;
}

static int
put_file(json_t *o, const char *field, const char *path)
{
	struct buf pem;
	json_t *text = NULL;

	buf_init(&pem, PEM_MAX);
	if (read_pem(path, &pem) == 0) {
		text = json_stringn(pem.p, pem.len);
		if (text == NULL)
			cli_complain("%s is not text; it should be PEM", path);
	}
	buf_wipe(&pem);
	if (text == NULL)
		return -1;
	json_object_set_new(o, field, text);
	return 0;
}

int
cli_put_certificate(const struct cli *cli, json_t *o)
{
	if (cli->no_letsencrypt)
		json_object_set_new(o, "letsencrypt_enabled", json_false());
	if (cli->cert == NULL && cli->key == NULL)
		return CLI_OK;
	if (cli->cert == NULL || cli->key == NULL) {
		cli_complain("--cert and --key go together");
		return CLI_USAGE;
	}
	if (put_file(o, "tlscert", cli->cert) == -1 ||
	    put_file(o, "tlskey", cli->key) == -1)
		return CLI_FAILED;
	return CLI_OK;
}

/* PATCH the domain; says so when it went well. */
static int
change(const struct cli *cli, json_t *stolen, const char *said)
{
	json_t *body = json_pack("{s:o}", "domain", stolen), *answer;
	struct buf path;
	int rc;

	cli_domains_path(cli, &path);
	buf_puts(&path, "/");
	client_encode(&path, cli->arg[0]);
	rc = cli_ask(cli, "PATCH", path.p, body, cli->arg[0], &answer);
	buf_clear(&path);
	json_decref(body);
	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		cli_say("%s: %s", cli->arg[0], said);
	json_decref(answer);
	fflush(stdout);
	if (rc == CLI_OK && cli->wait_s >= 0)
		rc = cli_wait(cli, cli->arg, 1);
	return rc;
}

int
cli_domains_ssl(const struct cli *cli)
{
	json_t *o;
	int rc;

	if (cli->narg == 2 && strcmp(cli->arg[1], "disable") == 0)
		return change(cli,
		    json_pack("{s:s, s:s}", "tlscert", "", "tlskey", ""),
		    "the custom certificate is taken away");
	if (cli->narg == 2 || cli->cert == NULL) {
		cli_complain("domains-ssl wants --cert F --key F, or "
			     "\"disable\" behind the domain");
		return CLI_USAGE;
	}
	o = json_object();
	rc = cli_put_certificate(cli, o);
	if (rc != CLI_OK) {
		json_decref(o);
		return rc;
	}
	return change(cli, o, "the custom certificate is on its way");
}

int
cli_domains_letsencrypt(const struct cli *cli)
{
	bool on = strcmp(cli->arg[1], "enable") == 0;

	if (!on && strcmp(cli->arg[1], "disable") != 0) {
		cli_complain(
		    "\"enable\" or \"disable\", not \"%s\"", cli->arg[1]);
		return CLI_USAGE;
	}
	return change(cli, json_pack("{s:b}", "letsencrypt_enabled", (int)on),
	    on ? "Let's Encrypt is switched on"
	       : "Let's Encrypt is switched off");
}

int
cli_revoke(const struct cli *cli)
{
	const char *reason = cli->reason != NULL ? cli->reason : "unspecified";
	json_t *body, *answer, *domains;
	struct buf path;
	int rc;

	if (!cli_confirm(
		cli, false, cli->arg[0], "A revocation cannot be taken back."))
		return CLI_USAGE;
	body = json_pack("{s:s}", "reason", reason);
	cli_domain_path(&path, "/api/v1/domains/", cli->arg[0]);
	buf_puts(&path, "/revoke");
	rc = cli_ask(cli, "POST", path.p, body, cli->arg[0], &answer);
	buf_clear(&path);
	json_decref(body);
	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		cli_say("%s: its certificate is being revoked", cli->arg[0]);
	fflush(stdout);
	if (rc == CLI_OK && cli->wait_s >= 0) {
		domains = json_pack("[O]", json_object_get(answer, "domain"));
		rc = cli_wait_renewals(cli, domains);
		json_decref(domains);
	}
	json_decref(answer);
	return rc;
}

int
cli_account(const struct cli *cli)
{
	json_t *answer;
	int rc;

	if (strcmp(cli->arg[0], "rollover") != 0) {
		cli_complain("\"rollover\", not \"%s\"", cli->arg[0]);
		return CLI_USAGE;
	}
	rc =
	    cli_ask(cli, "POST", "/api/v1/account/rollover", NULL, "", &answer);
	if (rc == CLI_OK && cli->json)
		cli_print_json(answer);
	else if (rc == CLI_OK)
		cli_say("the leader gives the account another key; certfleet "
			"events tells when");
	json_decref(answer);
	return rc;
}
