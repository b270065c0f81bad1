/*
 * HAProxy's runtime API, both ways: what is read must not crash and comes out
 * the same however it was cut; what is written is one command, or nothing.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "haproxy/answer.h"
#include "haproxy/command.h"
#include "haproxy/deploy.h"

#define REQUIRE(what)                     \
	do {                              \
		if (!(what))              \
			__builtin_trap(); \
	} while (0)

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static const struct deploy_want want = { .name = "/r/a.pem",
	.list = "/r/list",
	.filter = "a.example",
	.sha1 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" };

static void
see_name(void *arg, const char *name, bool open)
{
	(void)arg, (void)open;
	REQUIRE(strchr(name, '\n') == NULL);
}

static void
see_entry(void *arg, const char *name, int line, const char *filters)
{
	struct deploy_have *have = arg;

	REQUIRE(strchr(name, '\n') == NULL && line > 0);
	deploy_entry(have, &want, line, filters);
}

static void
see_rate(void *arg, const char *sha1, int64_t per_hour)
{
	(void)arg;
	REQUIRE(strlen(sha1) == 40 && per_hour >= 0);
	REQUIRE(strspn(sha1, "0123456789ABCDEF") == 40);
}

static void
parse(const char *text)
{
	struct deploy_have have = { 0 };
	struct deploy_plan plan;
	struct deploy_step s = { DEPLOY_NEW, 0 };
	char sha1[ANSWER_SHA1_MAX], other[ANSWER_NAME_MAX];
	struct answer_info info;
	struct answer a;
	struct err e = { 0 };
	int op;

	answer_parse(text, &a);
	REQUIRE(a.kind < ANSWER_KINDS && strlen(a.name) < ANSWER_NAME_MAX);
	if (answer_info(text, &info) == 0)
		REQUIRE(info.pid >= 0 && strchr(info.version, '\n') == NULL);
	if (answer_sha1(text, "/r/a.pem", sha1) == 0)
		REQUIRE(strlen(sha1) == 0 || strlen(sha1) == 40);
	(void)answer_ends(text);
	answer_table(text, see_rate, NULL);
	answer_names(text, see_name, NULL);
	answer_entries(text, see_entry, &have);
	for (op = 0; op < DEPLOY_OPS; op++) {
		s.op = (enum deploy_op)op;
		if (deploy_got(&have, &want, &s, text, other, &e) != DEPLOY_OK)
			REQUIRE(e.kind != ERR_NONE &&
				strpbrk(e.text, "\n\r\x1b") == NULL);
		deploy_plan(&have, &want, &plan);
		REQUIRE(plan.nsteps <= DEPLOY_STEPS_MAX);
	}
}

/* Cut at once or byte by byte: the same answers, and the same rest. */
static void
split(const char *bytes, size_t len)
{
	const char *text, *again;
	size_t scanned = 0, slow_scanned, text_len, again_len, used, slow_used;
	size_t at = 0, fed;
	bool found;
	char *copy;

	while (answer_split(
	    bytes + at, len - at, &scanned, &text, &text_len, &used)) {
		REQUIRE(used > 0 && used <= len - at);
		REQUIRE(
		    text >= bytes + at && text + text_len <= bytes + at + used);
		REQUIRE(memmem(text, text_len, "\n\n", 2) == NULL);
		found = false;
		slow_scanned = 0;
		for (fed = 1; !found && fed <= len - at; fed++)
			found = answer_split(bytes + at, fed, &slow_scanned,
			    &again, &again_len, &slow_used);
		REQUIRE(found && again == text && again_len == text_len &&
			slow_used == used);
		copy = xmemdup0(text, text_len);
		parse(copy);
		free(copy);
		at += used;
	}
}

/* One line without ";", or a head line and a payload up to an empty line. */
static void
one_command(const struct buf *b, bool payload)
{
	const char *end = strchr(b->p, '\n'), *body;

	REQUIRE(end != NULL && strlen(b->p) == b->len);
	REQUIRE(strpbrk(b->p, ";\\\r\t\"'") == NULL);
	if (!payload) {
		REQUIRE(end == b->p + b->len - 1);
		return;
	}
	REQUIRE(memcmp(end - 3, " <<", 3) == 0);
	body = strstr(end + 1, "\n\n");
	REQUIRE(body != NULL && end[1] != '\n' && body + 2 == b->p + b->len);
}

static void
build(const char *s, const char *bytes, size_t len)
{
	struct err e = { 0 };
	struct buf b;

	buf_init(&b, 1 << 20);
	if (command_cert(&b, "del", s, &e) == 0)
		one_command(&b, false);
	else
		REQUIRE(b.len == 0);
	buf_clear(&b);
	if (command_del_entry(&b, "/r/list", s, 3, &e) == 0)
		one_command(&b, false);
	buf_clear(&b);
	if (command_show_entries(&b, s, &e) == 0)
		one_command(&b, false);
	buf_clear(&b);
	if (command_show_table(&b, s, &e) == 0)
		one_command(&b, false);
	buf_clear(&b);
	if (command_add(&b, "/r/list", "/r/a.pem", s, &e) == 0)
		one_command(&b, true);
	else
		REQUIRE(b.len == 0);
	buf_clear(&b);
	if (command_set(&b, s, PEM, strlen(PEM), 16384, &e) == 0)
		one_command(&b, true);
	buf_clear(&b);
	if (command_set(&b, "/r/a.pem", bytes, len, 1 << 20, &e) == 0)
		one_command(&b, true);
	else
		REQUIRE(b.len == 0);
	buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmemdup0(data, size);

	parse(text);
	if (size < 4096)
		split(text, size);
	build(text, text, size);
	free(text);
	return 0;
}
