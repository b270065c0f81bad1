/* Three examples of each command, for its --help. */
#include <stddef.h>
#include <string.h>

#include "sync/cli/cli.h"

static const struct {
	const char *command, *example[CLI_EXAMPLES];
} table[] = {
	/* clang-format off */
	{ "domains", { "domains", "domains --app shop",
	  "domains --json | jq -r '.domains[].name'" } },
	{ "domains-add", { "domains-add www.shop.example --wait",
	  "--app shop domains-add shop.example '*.shop.example'",
	  "domains-add own.example --cert chain.pem --key key.pem" } },
	{ "domains-remove", { "domains-remove www.shop.example",
	  "--app shop domains-remove a.shop.example b.shop.example --yes",
	  "domains-remove www.shop.example --dry-run" } },
	{ "domains-ssl", {
	  "domains-ssl www.shop.example --cert chain.pem --key key.pem",
	  "domains-ssl www.shop.example disable",
	  "domains-ssl www.shop.example --cert c.pem --key k.pem --wait" } },
	{ "domains-letsencrypt", {
	  "domains-letsencrypt www.shop.example disable",
	  "domains-letsencrypt www.shop.example enable --wait",
	  "--app shop domains-letsencrypt www.shop.example enable" } },
	{ "import", { "import /etc/letsencrypt --dry-run",
	  "--app shop import ~/.acme.sh --from acme.sh",
	  "import /etc/haproxy/certs --from haproxy --wait=600" } },
	{ "env", { "env", "--app shop env", "--app shop env --json" } },
	{ "env-set", { "--app shop env-set DNS_PROVIDER=ovh",
	  "--app shop env-set DNS_CLOUDFLARE_API_TOKEN=@token.txt",
	  "--app shop env-set DNS_CLOUDFLARE_API_TOKEN=- < token.txt" } },
	{ "env-unset", { "env-unset DNS_PROVIDER",
	  "--app shop env-unset DNS_PROVIDER",
	  "--app shop env-unset DNS_CLOUDFLARE_API_TOKEN DNS_PROVIDER" } },
	{ "renew", { "renew www.shop.example --dry-run",
	  "renew www.shop.example --force --wait",
	  "renew a.shop.example b.shop.example --json" } },
	{ "revoke", { "revoke www.shop.example --reason keyCompromise",
	  "revoke www.shop.example --reason superseded --yes",
	  "revoke www.shop.example --yes --json" } },
	{ "rollback", { "rollback www.shop.example",
	  "rollback www.shop.example --reason 'a chain that phones refuse'",
	  "rollback www.shop.example --yes" } },
	{ "account", { "account rollover", "account rollover --json",
	  "--config /etc/certfleet/other.conf account rollover" } },
	{ "token", { "token create ci --app shop --role operate --days 90",
	  "token list", "token revoke ci" } },
	{ "audit", { "audit", "audit -n 100", "audit --json" } },
	{ "status", { "status", "status --json",
	  "status > /dev/null || echo something is wrong" } },
	{ "why", { "why www.shop.example", "why '*.shop.example'",
	  "why www.shop.example --json | jq .domain.timeline" } },
	{ "check", { "check www.shop.example", "check '*.shop.example'",
	  "check not-registered.example --json" } },
	{ "events", { "events", "events -f", "events -f -n 0 --json" } },
	{ "nodes", { "nodes", "nodes www.shop.example", "nodes --json" } },
	{ "leader", { "leader", "leader --json",
	  "leader > /dev/null || echo nobody leads" } },
	{ "limits", { "limits", "limits www.shop.example",
	  "limits shop.example --json" } },
	{ "plan", { "plan names.txt", "plan - < names.txt",
	  "plan names.txt --json" } },
	{ "config", { "config check", "config check -f new.conf",
	  "config show --json" } },
	{ "kek", { "kek list", "kek rotate", "kek backed-up" } },
	{ "doctor", { "doctor", "doctor --json",
	  "doctor --haproxy-config /etc/haproxy/haproxy.cfg" } },
	/* clang-format on */
};

const char *const *
cli_examples(const char *command)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].command, command) == 0)
			return table[i].example;
	return NULL;
}
