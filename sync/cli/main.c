/* certfleet: the command line of a fleet, over certfleet-sync's socket. */
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/cli.h"

#define WAIT_S 300
#define WAIT_MAX_S 86400
#define EVENTS_MAX 1000
#define DAYS_MAX 3650

static const struct command {
	const char *name;
	cli_fn *fn;
	int min, max; /* arguments; max -1: any number */
	const char *usage, *summary;
} commands[] = {
	/* clang-format off */
	{ "domains", cli_domains, 0, 0, "[--app APP]",
	  "list domains: status, certificate, what happens next" },
	{ "domains-add", cli_domains_add, 1, -1, "NAME... [--app APP] "
	  "[--wait[=SECONDS]] [--no-letsencrypt] [--cert F --key F]",
	  "add domains; certificates come by themselves" },
	{ "domains-remove", cli_domains_remove, 1, -1, "NAME... [--app APP] [--yes] "
	  "[--dry-run]",
	  "remove domains and their certificates" },
	{ "domains-ssl", cli_domains_ssl, 1, 2, "NAME --cert F --key F | NAME disable",
	  "serve a certificate of your own, or no longer" },
	{ "domains-letsencrypt", cli_domains_letsencrypt, 2, 2, "NAME enable|disable",
	  "switch Let's Encrypt on or off for a domain" },
	{ "import", cli_import, 1, 1, "DIR [--from certbot|acme.sh|lego|caddy|"
	  "haproxy|auto] [--app APP] [--dry-run] [--wait[=SECONDS]]",
	  "take the certificates of another program; nothing is ordered" },
	{ "env", cli_env, 0, 0, "[--app APP]",
	  "the app's variables: its DNS provider, for wildcards" },
	{ "env-set", cli_env_set, 1, -1, "NAME=VALUE|NAME=@FILE|NAME=-... "
	  "[--app APP]",
	  "set variables; values also from files or standard input (-)" },
	{ "env-unset", cli_env_unset, 1, -1, "NAME... [--app APP]",
	  "forget variables" },
	{ "renew", cli_renew, 1, -1, "NAME... [--force] [--wait[=SECONDS]] "
	  "[--dry-run]",
	  "order another certificate now, or when the CA's limits allow" },
	{ "revoke", cli_revoke, 1, 1, "NAME [--reason REASON] [--yes] "
	  "[--wait[=SECONDS]]",
	  "revoke a domain's certificate at the CA and order another" },
	{ "rollback", cli_rollback, 1, 1, "NAME [--reason TEXT] [--yes]",
	  "serve a domain's certificate of before, on all nodes" },
	{ "account", cli_account, 1, 1, "rollover",
	  "give the CA account another key" },
	{ "token", cli_token, 1, 2, "create NAME [--app APP,...] [--role "
	  "read|operate|admin] [--days N] | list | revoke ID",
	  "tokens for the API by TCP" },
	{ "audit", cli_audit, 0, 0, "[-n N]",
	  "who changed what by the API" },
	{ "status", cli_status, 0, 0, "",
	  "how the fleet is" },
	{ "why", cli_why, 1, 1, "DOMAIN",
	  "why a domain is as it is, and what happens next" },
	{ "check", cli_check, 1, 1, "NAME",
	  "what DNS says of a name now, and what it should say" },
	{ "events", cli_events, 0, 0, "[-f] [-n N]",
	  "what happened; -f: and what happens" },
	{ "nodes", cli_nodes, 0, 1, "[DOMAIN]",
	  "the nodes and what they serve; what each shows for a domain" },
	{ "leader", cli_leader, 0, 0, "",
	  "which node orders certificates, and how far it is" },
	{ "limits", cli_limits, 0, 1, "[DOMAIN]",
	  "what is left of the CA's limits: the account's, a domain's" },
	{ "plan", cli_plan, 1, 1, "FILE",
	  "when the names in FILE (one a line, - for standard input) would get "
	  "their certificates" },
	{ "config", cli_config, 1, 1, "check [-f FILE] | show",
	  "is the configuration valid; the settings in effect" },
	{ "kek", cli_kek, 1, 2, "list | rotate | reseal | retire ID [--yes] | backed-up",
	  "the key ring: who has which keys, another one, one that goes" },
	{ "doctor", cli_doctor, 0, 0, "[-f FILE] [--haproxy-config FILE]",
	  "look for what is set up wrong, and say the cure" },
	/* clang-format on */
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

/* It reads the configuration by itself, and -f behind it names that. */
static bool
is_offline(const struct command *c)
{
	return c->fn == cli_config || c->fn == cli_doctor || c->fn == cli_kek;
}

enum {
	OPT_JSON = 256,
	OPT_COLOUR,
	OPT_WAIT,
	OPT_CONF,
	OPT_CERT,
	OPT_KEY,
	OPT_REASON,
	OPT_ROLE,
	OPT_DAYS,
	OPT_DRY_RUN,
	OPT_FORCE,
	OPT_HAPROXY_CONFIG,
	OPT_YES,
	OPT_FROM,
	OPT_NO_LETSENCRYPT,
};

static const struct option options[] = {
	{ "app", required_argument, NULL, 'a' },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "color", required_argument, NULL, OPT_COLOUR },
	{ "config", required_argument, NULL, OPT_CONF },
	{ "days", required_argument, NULL, OPT_DAYS },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "follow", no_argument, NULL, 'f' },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "from", required_argument, NULL, OPT_FROM },
	{ "haproxy-config", required_argument, NULL, OPT_HAPROXY_CONFIG },
	{ "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "lines", required_argument, NULL, 'n' },
	{ "no-letsencrypt", no_argument, NULL, OPT_NO_LETSENCRYPT },
	{ "reason", required_argument, NULL, OPT_REASON },
	{ "role", required_argument, NULL, OPT_ROLE },
	{ "socket", required_argument, NULL, 's' },
	{ "version", no_argument, NULL, 'V' },
	{ "wait", optional_argument, NULL, OPT_WAIT },
	{ "yes", no_argument, NULL, OPT_YES },
	{ NULL, 0, NULL, 0 },
};

/* The command line, and what it leaves open. */
struct asked {
	struct cli cli;
	const char *conf, *colour;
	bool help, version;
};

static void
usage(FILE *out)
{
	fprintf(out, "usage: certfleet [OPTION...] COMMAND [ARGUMENT...]\n\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(
		    out, "  %-19s %s\n", commands[i].name, commands[i].summary);
	fprintf(out,
	    "\n"
	    "  -a, --app APP    of which app; else $CERTFLEET_APP, else: "
	    "domains of\n"
	    "                   all apps are listed, added to and removed from "
	    "\"%s\"\n"
	    "  --json           answer in JSON\n"
	    "  --color WHEN     auto, always or never; $NO_COLOR is heeded\n"
	    "  -s, --socket F   certfleet-sync's socket; else "
	    "$CERTFLEET_SOCKET, else\n"
	    "                   the configuration's (-f F, --config F: %s)\n"
	    "  -h, --help       this, or a COMMAND's\n"
	    "  -V, --version\n"
	    "\n"
	    "  certfleet domains-add www.shop.example --wait\n"
	    "  certfleet why www.shop.example\n"
	    "  certfleet events -f --json\n"
	    "  certfleet --app shop env-set DNS_PROVIDER=cloudflare \\\n"
	    "      DNS_CLOUDFLARE_API_TOKEN=@token.txt\n"
	    "\n"
	    "exit status: 0 ok, 1 failed, 2 usage, 3 not found, 4 refused, 5 "
	    "no\n"
	    "certfleet-sync, 6 --wait timed out\n",
	    CLI_APP, CONF_PATH);
}

static void
usage_of(const struct command *command)
{
	const char *const *example = cli_examples(command->name);

	printf("usage: certfleet %s%s%s\n\n%s\n", command->name,
	    command->usage[0] != '\0' ? " " : "", command->usage,
	    command->summary);
	for (int i = 0; example != NULL && i < CLI_EXAMPLES; i++)
		printf("%s  certfleet %s\n", i == 0 ? "\n" : "", example[i]);
}

static int misused(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int
misused(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cli_complain("%s; see certfleet --help", text);
	return -1;
}

static int
take_number(const char *text, int min, int max, const char *name, int *out)
{
	int64_t v;

	if (str_int(text, min, max, &v) == -1)
		return misused("%s must be a number from %d to %d, not \"%s\"",
		    name, min, max, text);
	*out = (int)v;
	return 0;
}

/* Options that only say a text, or yes. */
static const struct {
	int opt;
	size_t at; /* in struct asked */
	bool flag;
} stored[] = {
	/* clang-format off */
	{ 'a', offsetof(struct asked, cli.app), false },
	{ 's', offsetof(struct asked, cli.socket), false },
	{ OPT_COLOUR, offsetof(struct asked, colour), false },
	{ OPT_CONF, offsetof(struct asked, conf), false },
	{ OPT_REASON, offsetof(struct asked, cli.reason), false },
	{ OPT_ROLE, offsetof(struct asked, cli.role), false },
	{ OPT_HAPROXY_CONFIG, offsetof(struct asked, cli.haproxy_config), false },
	{ OPT_FROM, offsetof(struct asked, cli.from), false },
	{ OPT_CERT, offsetof(struct asked, cli.cert), false },
	{ OPT_KEY, offsetof(struct asked, cli.key), false },
	{ 'h', offsetof(struct asked, help), true },
	{ 'V', offsetof(struct asked, version), true },
	{ OPT_JSON, offsetof(struct asked, cli.json), true },
	{ OPT_DRY_RUN, offsetof(struct asked, cli.dry_run), true },
	{ OPT_FORCE, offsetof(struct asked, cli.force), true },
	{ OPT_YES, offsetof(struct asked, cli.yes), true },
	{ OPT_NO_LETSENCRYPT, offsetof(struct asked, cli.no_letsencrypt), true },
	/* clang-format on */
};

static bool
take_stored(struct asked *a, int opt)
{
	for (size_t i = 0; i < sizeof(stored) / sizeof(stored[0]); i++) {
		void *to = (char *)a + stored[i].at;

		if (stored[i].opt != opt)
			continue;
		if (stored[i].flag)
			*(bool *)to = true;
		else
			*(const char **)to = optarg;
		return true;
	}
	return false;
}

/* file: -f is the configuration, as before the command; else --follow. */
static int
take_option(struct asked *a, int opt, bool file)
{
	if (take_stored(a, opt))
		return 0;
	switch (opt) {
	case 'n':
		return take_number(optarg, 0, EVENTS_MAX, "-n", &a->cli.n);
	case 'f':
		if (file)
			a->conf = optarg;
		else
			a->cli.follow = true;
		return 0;
	case OPT_DAYS:
		return take_number(optarg, 0, DAYS_MAX, "--days", &a->cli.days);
	case OPT_WAIT:
		a->cli.wait_s = WAIT_S;
		return optarg == NULL ? 0
		                      : take_number(optarg, 0, WAIT_MAX_S,
					    "--wait", &a->cli.wait_s);
	default:
		return misused("that is no option");
	}
}

/*
 * Options up to the command, or those after it (NULL: we are before it) with
 * its arguments.
 */
static int
take_options(
    struct asked *a, int argc, char **argv, const struct command *command)
{
	bool before = command == NULL, file = before || is_offline(command);
	const char *letters = before ? "+:a:s:f:hV"
	                      : file ? ":a:s:f:n:hV"
	                             : ":a:s:fn:hV";
	int opt, index;

	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while (
	    (opt = getopt_long(argc, argv, letters, options, &index)) != -1) {
		if (opt == ':')
			return misused("%s needs a value", argv[optind - 1]);
		if (opt == '?' || (file && opt == 'f' && optarg == NULL))
			return misused("unknown option %s", argv[optind - 1]);
		if (take_option(a, opt, file) == -1)
			return -1;
	}
	return 0;
}

static const struct command *
find_command(const char *name)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* Colours: as asked, else on a terminal that can and may. */
static int
choose_colours(struct asked *a)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	const char *when = a->colour != NULL ? a->colour : "auto";

	if (strcmp(when, "always") == 0)
		a->cli.colours = true;
	else if (strcmp(when, "auto") == 0)
		a->cli.colours = isatty(STDOUT_FILENO) &&
		                 (no == NULL || no[0] == '\0') &&
		                 term != NULL && strcmp(term, "dumb") != 0;
	else if (strcmp(when, "never") != 0)
		return misused(
		    "--color must be auto, always or never, not \"%s\"", when);
	return 0;
}

char *
cli_socket(const struct cli *cli)
{
	const char *env = getenv("CERTFLEET_SOCKET");
	struct err e = { 0 };
	struct conf *conf;
	char *path;

	if (cli->socket != NULL)
		return xstrdup(cli->socket);
	if (!cli->conf_given && env != NULL && env[0] != '\0')
		return xstrdup(env);
	conf = conf_load_public(cli->conf, &e);
	if (conf == NULL) {
		cli_complain(
		    "%s; --socket says where certfleet-sync is", e.text);
		return NULL;
	}
	path = xstrdup(conf->api.socket);
	conf_free(conf);
	return path;
}

static int
run(struct asked *a, const struct command *command)
{
	const char *app = getenv("CERTFLEET_APP");
	char *path;
	int rc;

	if (a->cli.narg < command->min ||
	    (command->max != -1 && a->cli.narg > command->max)) {
		cli_complain(
		    "usage: certfleet %s %s", command->name, command->usage);
		return CLI_USAGE;
	}
	if (choose_colours(a) == -1)
		return CLI_USAGE;
	if (a->cli.app == NULL && app != NULL && app[0] != '\0')
		a->cli.app = app;
	a->cli.conf = a->conf != NULL ? a->conf : CONF_PATH;
	a->cli.conf_given = a->conf != NULL;
	path = is_offline(command) ? NULL : cli_socket(&a->cli);
	if (path == NULL && !is_offline(command))
		return CLI_FAILED;
	if (path != NULL)
		a->cli.socket = path;
	a->cli.progress = !a->cli.json && isatty(STDERR_FILENO);
	rc = command->fn(&a->cli);
	free(path);
	if (fflush(stdout) == EOF || ferror(stdout))
		return CLI_FAILED;
	return rc;
}

int
main(int argc, char **argv)
{
	struct asked a = { .cli = { .wait_s = -1, .n = -1, .days = -1 } };
	const struct command *command;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* keys and tokens pass through */
	setlocale(LC_CTYPE, "");
	if (take_options(&a, argc, argv, NULL) == -1)
		return CLI_USAGE;
	if (a.version) {
		puts("certfleet " CERTFLEET_VERSION);
		return CLI_OK;
	}
	if (a.help || optind == argc || strcmp(argv[optind], "help") == 0) {
		usage(a.help || optind < argc ? stdout : stderr);
		return a.help || optind < argc ? CLI_OK : CLI_USAGE;
	}
	command = find_command(argv[optind]);
	if (command == NULL) {
		misused("there is no command \"%s\"", argv[optind]);
		return CLI_USAGE;
	}
	argc -= optind;
	argv += optind;
	if (take_options(&a, argc, argv, command) == -1)
		return CLI_USAGE;
	if (a.help) {
		usage_of(command);
		return CLI_OK;
	}
	a.cli.narg = argc - optind;
	a.cli.arg = argv + optind;
	return run(&a, command);
}
