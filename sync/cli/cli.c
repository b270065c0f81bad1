#include "sync/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/text.h"

#define SENTENCE_MAX 2048
#define PATH_MAX_BYTES 8192

static void write_line(FILE *, const char *before, const char *fmt, va_list)
    __attribute__((format(printf, 3, 0)));

static void
write_line(FILE *out, const char *before, const char *fmt, va_list ap)
{
	char text[SENTENCE_MAX], safe[SENTENCE_MAX];

	vsnprintf(text, sizeof(text), fmt, ap);
	fprintf(out, "%s%s\n", before,
	    str_printable(safe, sizeof(safe), text, strlen(text)));
}

void
cli_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(stdout, "-----> ", fmt, ap);
	va_end(ap);
}

void
cli_complain(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	va_start(ap, fmt);
	write_line(stderr, " !     ", fmt, ap);
	va_end(ap);
}

int
cli_status_exit(int status)
{
	if (status >= 200 && status < 300)
		return CLI_OK;
	if (status == 404)
		return CLI_NOT_FOUND;
	if (status == 400 || status == 403 || status == 409 || status == 422 ||
	    status == 429)
		return CLI_REFUSED;
	return CLI_FAILED;
}

int
cli_err_exit(const struct err *e)
{
	return strcmp(e->type, CLIENT_UNREACHABLE) == 0 ? CLI_UNREACHABLE
	                                                : CLI_FAILED;
}

/* { "errors": { field: [sentence] } } as "field sentence; field sentence". */
static void
put_errors(struct buf *out, json_t *errors)
{
	const char *field;
	json_t *list, *one;
	size_t i;

	json_object_foreach (errors, field, list) {
		json_array_foreach (list, i, one) {
			const char *s = json_string_value(one);

			/* "name" is what the sentence is about anyway. */
			buf_putf(out, "%s%s%s%s", out->len > 0 ? "; " : "",
			    strcmp(field, "name") == 0 ? "" : field,
			    strcmp(field, "name") == 0 ? "" : ": ",
			    s != NULL ? s : "");
		}
	}
}

char *
cli_answer_error(int status, const json_t *body)
{
	json_t *errors = json_object_get(body, "errors");
	const char *error = json_string_value(json_object_get(body, "error"));
	const char *detail = json_string_value(json_object_get(body, "detail"));
	struct buf out;

	buf_init(&out, SENTENCE_MAX - 1);
	if (errors != NULL)
		put_errors(&out, errors);
	else if (error != NULL)
		buf_putf(&out, "%s%s%s", error, detail != NULL ? ": " : "",
		    detail != NULL ? detail : "");
	if (out.len == 0)
		buf_putf(&out, "certfleet-sync answers %d", status);
	return buf_take(&out);
}

int
cli_ask(const struct cli *cli, const char *method, const char *path,
    const json_t *body, const char *what, json_t **answer)
{
	struct answer a = { 0 };
	struct err e = { 0 };
	char *why;

	*answer = NULL;
	if (client_ask(cli->socket, method, path, body, &a, &e) == -1) {
		cli_complain("%s", e.text);
		json_decref(a.body);
		return cli_err_exit(&e);
	}
	if (a.status >= 200 && a.status < 300) {
		*answer = a.body;
		return CLI_OK;
	}
	why = cli_answer_error(a.status, a.body);
	cli_complain("%s%s%s", what, what[0] != '\0' ? ": " : "", why);
	free(why);
	json_decref(a.body);
	return cli_status_exit(a.status);
}

void
cli_print_json(const json_t *o)
{
	/* All of it in ASCII: nothing in it can move the cursor. */
	json_dumpf(o, stdout,
	    JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII);
	putchar('\n');
}

void
cli_print(struct buf *b)
{
	fwrite(b->p, 1, b->len, stdout);
	fflush(stdout);
	buf_clear(b);
}

void
cli_domain_path(struct buf *out, const char *before, const char *name)
{
	buf_init(out, PATH_MAX_BYTES);
	buf_puts(out, before);
	/* What is too long is cut: the server says what it thinks of it. */
	client_encode(out, name);
}
