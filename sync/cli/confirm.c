/* Whoever types what cannot easily be taken back is asked first. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "sync/cli/cli.h"

#define SENTENCE_MAX 1024

bool
cli_confirm(const struct cli *cli, bool scripts_may, const char *answer,
    const char *fmt, ...)
{
	char sentence[SENTENCE_MAX], safe[SENTENCE_MAX], line[512];
	va_list ap;

	if (cli->yes || (scripts_may && !isatty(STDIN_FILENO)))
		return true;
	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	if (!isatty(STDIN_FILENO)) {
		cli_complain("%s  Say --yes to go on.", sentence);
		return false;
	}
	str_printable(safe, sizeof(safe), sentence, strlen(sentence));
	fprintf(stderr, " !     %s  Type ", safe);
	str_printable(safe, sizeof(safe), answer, strlen(answer));
	fprintf(stderr, "%s to go on: ", safe);
	if (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strcmp(line, answer) == 0)
			return true;
	}
	cli_complain("not confirmed, nothing is changed");
	return false;
}
