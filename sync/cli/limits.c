/* The commands about what the CA allows: what is left, and when names come. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/loop.h"
#include "sync/cli/cli.h"
#include "sync/cli/show.h"

#define PATH_CAP 8192
#define LINE_LONGEST 1024

typedef void show_fn(const struct show *, const json_t *, struct buf *);

static void
tell(const struct cli *cli, const json_t *answer, show_fn *fn)
{
	struct show s = { loop_wall_ms(), cli->colours };
	struct buf out;

	if (cli->json) {
		cli_print_json(answer);
		return;
	}
	buf_init(&out, CLI_OUTPUT_MAX);
	fn(&s, answer, &out);
	cli_print(&out);
}

int
cli_limits(const struct cli *cli)
{
	const char *name = cli->narg > 0 ? cli->arg[0] : NULL;
	struct buf path;
	json_t *answer;
	int rc;

	buf_init(&path, PATH_CAP);
	buf_puts(&path, "/api/v1/limits");
	if (name != NULL) {
		buf_puts(&path, "?domain=");
		client_encode(&path, name);
	}
	rc = cli_ask(
	    cli, "GET", path.p, NULL, name != NULL ? name : "", &answer);
	buf_clear(&path);
	if (rc == CLI_OK)
		tell(cli, answer, show_limits);
	json_decref(answer);
	return rc;
}

/* --- plan -------------------------------------------------------------------- */

/* What is left of a line without comment and blanks. */
static char *
trim(char *line)
{
	size_t len;

	line[strcspn(line, "#\r\n")] = '\0';
	line += strspn(line, " \t");
	for (len = strlen(line); len > 0 && strchr(" \t", line[len - 1]); len--)
		line[len - 1] = '\0';
	return line;
}

static int
read_names(FILE *in, const char *file, json_t *names)
{
	char line[LINE_LONGEST], *name;
	int number = 0;

	while (fgets(line, sizeof(line), in) != NULL) {
		number++;
		if (strlen(line) == sizeof(line) - 1) {
			cli_complain(
			    "%s:%d: is too long for a name", file, number);
			return CLI_REFUSED;
		}
		name = trim(line);
		if (name[0] == '\0')
			continue;
		if (json_array_append_new(names, json_string(name)) == -1) {
			cli_complain("%s:%d: is not UTF-8", file, number);
			return CLI_REFUSED;
		}
	}
	if (ferror(in) == 0)
		return CLI_OK;
	cli_complain("%s: %s", file, strerror(errno));
	return CLI_FAILED;
}

static int
load_names(const char *file, json_t *names)
{
	FILE *in;
	int rc;

	if (strcmp(file, "-") == 0)
		return read_names(stdin, "standard input", names);
	in = fopen(file, "re");
	if (in == NULL) {
		cli_complain("%s: %s", file, strerror(errno));
		return CLI_FAILED;
	}
	rc = read_names(in, file, names);
	fclose(in);
	return rc;
}

int
cli_plan(const struct cli *cli)
{
	json_t *names = json_array(), *body, *answer = NULL;
	int rc = load_names(cli->arg[0], names);

	body = json_pack("{s:o}", "names", names);
	if (rc == CLI_OK)
		rc = cli_ask(cli, "POST", "/api/v1/plan", body, "", &answer);
	if (rc == CLI_OK)
		tell(cli, answer, show_plan);
	json_decref(body);
	json_decref(answer);
	return rc;
}
