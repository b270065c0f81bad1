/* One run of certfleet: what was asked for, and the commands. */
#ifndef SYNC_CLI_CLI_H
#define SYNC_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "common/buf.h"
#include "common/domain.h"
#include "common/err.h"
#include "sync/cli/client.h"

/* Exit statuses; certfleet --help lists them. */
enum exit_status {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NOT_FOUND = 3,
	CLI_REFUSED = 4,
	CLI_UNREACHABLE = 5,
	CLI_TIMEOUT = 6,
};

#define CLI_APP "default" /* for those who have no apps */
#define CLI_OUTPUT_MAX (256 * 1024 * 1024)

struct cli {
	const char *socket; /* NULL: nobody has looked for it */
	const char *conf;   /* the configuration file */
	bool conf_given;
	const char *app; /* NULL: not given */
	bool json, colours, progress;
	bool follow;
	bool no_letsencrypt, yes, force, dry_run;
	const char *from; /* whose certificates are imported; NULL: look */
	const char *haproxy_config; /* NULL: not given */
	const char *reason;
	const char *role;       /* of a token */
	int days;               /* it lives, -1: not given */
	const char *cert, *key; /* PEM files; NULL: not given */
	int n;                  /* events, -1: not given */
	int wait_s;             /* -1: do not wait */
	int narg;
	char **arg;
};

typedef int cli_fn(const struct cli *); /* an enum exit_status */
cli_fn cli_domains, cli_domains_add, cli_domains_remove;
cli_fn cli_env, cli_env_set, cli_env_unset;
cli_fn cli_limits, cli_plan, cli_import;
cli_fn cli_domains_ssl, cli_domains_letsencrypt, cli_revoke, cli_account;
cli_fn cli_token, cli_audit, cli_renew;
cli_fn cli_check, cli_leader, cli_config, cli_doctor, cli_kek;
cli_fn cli_status, cli_why, cli_events, cli_nodes;

/* rollout.c; cli_nodes_of: what each node shows for one domain. */
cli_fn cli_rollback, cli_nodes_of;

/* wait.c: until all names have their certificate. */
int cli_wait(const struct cli *, char **name, size_t n);

/* The same until each of those domains, as they were, has another one. */
int cli_wait_renewals(const struct cli *, const json_t *domains);

/*
 * certificate.c: what the options say of a domain's certificate, into the body
 * of a request; complains, and returns an exit status.
 */
int cli_put_certificate(const struct cli *, json_t *domain);

/* --- what the commands share ---------------------------------------------- */

/* examples.c: of a command, without "certfleet"; NULL: there are none. */
#define CLI_EXAMPLES 3
const char *const *cli_examples(const char *command);

/*
 * confirm.c: tell what is about to happen and have answer typed.  Nobody is
 * asked with --yes; without a terminal it is no, or yes where scripts may.
 */
bool cli_confirm(const struct cli *, bool scripts_may, const char *answer,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* "-----> ..." to standard output, " !     ..." to standard error. */
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Where the socket is: as asked, the environment's, the configuration's.  NULL
 * when that is not valid, which is complained about.
 */
char *cli_socket(const struct cli *);

/* Ask; an answer that is no success is complained about.  what: of whom. */
int cli_ask(const struct cli *, const char *method, const char *path,
    const json_t *body, const char *what, json_t **answer);

/* The exit status of an HTTP status, of an error on the way. */
int cli_status_exit(int http_status);
int cli_err_exit(const struct err *);

/* The sentence in an answer that is no success: "name: ...". */
char *cli_answer_error(int http_status, const json_t *body);

void cli_print_json(const json_t *);
void cli_print(struct buf *); /* and clear it */

/* "/v1/apps/APP/domains", of the app that was asked for or the default one. */
void cli_domains_path(const struct cli *, struct buf *out);

/* "/api/v1/domains/" and the name, encoded. */
void cli_domain_path(struct buf *out, const char *before, const char *name);

#endif
