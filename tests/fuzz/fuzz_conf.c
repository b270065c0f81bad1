/* The configuration file: any text is understood or refused by a sentence. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/conf_table.h"
#include "common/mem.h"

#define TEXT_MAX (16 * 1024)

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Our messages are many; libFuzzer keeps the stream it began with. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	stderr = fopen("/dev/null", "w");
	if (stderr == NULL)
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	struct conf *c;
	char *text;

	/* conf_load() refuses NULs and what is larger than its cap. */
	if (size > TEXT_MAX || memchr(data, '\0', size) != NULL)
		return 0;
	text = xmemdup0(data, size);
	c = conf_parse("x", text, true, &e);
	if (c == NULL) {
		if (e.kind != ERR_CONFIG || strncmp(e.text, "x:", 2) != 0 ||
		    strpbrk(e.text, "\n\x1b") != NULL)
			abort();
	} else {
		if (c->haproxy.poll_ms < 100 || c->kek_file[0] != '/' ||
		    c->fleet.lease_ms <= 2 * c->fleet.renew_ms ||
		    conf_redis_url(c)[0] == '\0')
			abort();
	}
	conf_free(c);
	free(text);
	return 0;
}
