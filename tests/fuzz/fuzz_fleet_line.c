/*
 * A line of an export, from a file that anybody may have written: the commands
 * that bring it into Redis name its key, and put back they say the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sync/fleet_line.h"

#define KEY "the key"

struct made {
	size_t commands, arguments;
};

static void
on_command(void *arg, const struct rds_cmd *cmd)
{
	struct made *m = arg;

	if (cmd->argc < 3 || strcmp(cmd->argv[1], KEY) != 0)
		abort();
	m->commands++;
	for (size_t i = 2; i < cmd->argc; i++)
		m->arguments += cmd->len[i] + 1;
}

/* Bytes that were read are written so that they are read again. */
static void
round_trip(const json_t *v)
{
	struct buf once, again;
	json_t *text;

	buf_init(&once, 1 << 20);
	buf_init(&again, 1 << 20);
	if (fleet_bytes(v, &once) == 0) {
		text = fleet_text(once.p, once.len);
		if (fleet_bytes(text, &again) == -1 || once.len != again.len ||
		    memcmp(once.p, again.p, once.len) != 0)
			abort();
		json_decref(text);
	}
	buf_clear(&once);
	buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fleet_digest one = { 0 }, other = { 0 };
	struct made made = { 0 }, again = { 0 };
	struct err e = { 0 };
	json_t *line;

	if (size > 1 << 16)
		return 0;
	line =
	    json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (line == NULL)
		return 0;
	fleet_digest(&one, line);
	fleet_digest(&other, line);
	if (memcmp(&one, &other, sizeof(one)) != 0)
		abort();
	round_trip(json_object_get(line, "string"));
	if (fleet_put(KEY, line, on_command, &made, &e) == 0 &&
	    (fleet_put(KEY, line, on_command, &again, &e) == -1 ||
		memcmp(&made, &again, sizeof(made)) != 0))
		abort();
	json_decref(line);
	return 0;
}
