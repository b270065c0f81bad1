/* Plays every dialogue in tests/dialogues; its README has the form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/str.h"
#include "providers/provider.h"
#include "providers/txt.h"

#define DIALOGUES "tests/dialogues/"
#define VARS_MAX 8
#define STORIES_MAX 256

struct play {
	const char *path;
	int line;
	const struct provider *provider;
	char *var[VARS_MAX], *value[VARS_MAX];
	size_t nvars;
	int64_t now_s;
	struct provider_access access;
	struct txt_record t;
	bool ready, failed, asked;
	struct http_msg_req req;
	struct buf want; /* the request as the story has it */
	struct buf body; /* of the request or the reply */
	int status;
	int64_t retry_ms;
	bool in_body;
	struct err e;
};

static const char *const ops[] = { "verify", "find", "create", "remove" };
static const char *const kinds[] = { "NONE", "AGAIN", "LIMITED", "REFUSED",
	"CONFIG", "BUG" };

static void __attribute__((format(printf, 2, 3), noreturn))
lost(const struct play *p, const char *fmt, ...)
{
	char text[8192];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_msg("%s:%d: %s", p->path, p->line, text);
	abort();
}

static const char *
value_of(void *arg, const char *name)
{
	struct play *p = arg;

	for (size_t i = 0; i < p->nvars; i++)
		if (strcmp(p->var[i], name) == 0)
			return p->value[i];
	return NULL;
}

static char *
file_in_base64(const struct play *p, const char *name)
{
	char path[256], raw[8192], *text;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), DIALOGUES "%s", name);
	f = fopen(path, "r");
	if (f == NULL)
		lost(p, "cannot open %s", path);
	n = fread(raw, 1, sizeof(raw), f);
	fclose(f);
	text = xmalloc(B64_SIZE(n));
	b64_encode(text, raw, n);
	return text;
}

static void
set_variable(struct play *p, const char *text)
{
	const char *eq = strchr(text, '=');

	if (eq == NULL || p->nvars == VARS_MAX)
		lost(p, "not NAME=VALUE, or too many");
	p->var[p->nvars] = xmemdup0(text, (size_t)(eq - text));
	p->value[p->nvars++] =
	    eq[1] == '@' ? file_in_base64(p, eq + 2) : xstrdup(eq + 1);
}

static void
get_ready(struct play *p)
{
	struct provider_vars bad;

	if (p->ready)
		return;
	if (p->provider == NULL)
		lost(p, "no provider");
	if (provider_access_init(
		&p->access, p->provider, value_of, p, &bad, &p->e) == -1)
		lost(p, "%s", p->e.text);
	p->t.access = &p->access;
	p->ready = true;
}

static void
begin(struct play *p, const char *name)
{
	get_ready(p);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i], name) == 0) {
			p->e = (struct err){ .kind = ERR_NONE };
			p->failed = false;
			provider_begin(&p->t, (enum provider_op)i);
			return;
		}
	if (strcmp(name, "again") != 0)
		lost(p, "no operation %s", name);
	p->failed = false;
	provider_begin(&p->t, p->t.op);
}

/* The request that the provider makes, in the form of a story. */
static void
ask(struct play *p)
{
	struct buf got;

	if (p->failed)
		lost(p, "failed before: %s", p->e.text);
	if (provider_done(&p->t))
		lost(p, "nothing more is asked");
	if (provider_ask(&p->t, p->now_s, &p->req, &p->e) == -1)
		lost(p, "%s", p->e.text);
	buf_init(&got, 65536);
	buf_putf(&got, "%s %s\n", p->req.method, p->req.url.p);
	for (size_t i = 0; i < p->req.nheaders; i++)
		buf_putf(&got, "%s\n", p->req.header[i].p);
	buf_putf(&got, "\n%s\n", p->req.body.p);
	buf_putf(&p->want, "%s%s\n", p->in_body ? "" : "\n", p->body.p);
	for (const char *w = p->want.p, *g = got.p; *w != '\0'; w++, g++) {
		if (str_has_prefix(w, "[any]\n")) {
			w += strlen("[any]");
			g = strchr(g, '\n');
		}
		if (*w != *g)
			lost(p, "asked\n%sexpected\n%s", got.p, p->want.p);
	}
	p->asked = true;
	buf_clear(&got);
	buf_clear(&p->want);
	buf_clear(&p->body);
	p->in_body = false;
}

static void
answer(struct play *p)
{
	struct http_msg_res res = { .status = p->status,
		.body = p->body.p,
		.len = p->body.len,
		.retry_ms = p->retry_ms };

	if (!p->asked)
		lost(p, "a reply to nothing");
	p->failed = provider_got(&p->t, &res, &p->e) == -1;
	p->asked = false;
	buf_clear(&p->body);
	p->in_body = false;
	p->status = 0;
	p->retry_ms = 0;
}

/* What was collected line by line is complete when another kind begins. */
static void
finish(struct play *p, char next)
{
	if (p->want.len > 0 && next != '>')
		ask(p);
	if (p->status != 0 && next != '<')
		answer(p);
}

static void
request_line(struct play *p, const char *text)
{
	if (p->in_body)
		buf_puts(&p->body, text);
	else if (text[0] == '\0')
		p->in_body = true;
	if (!p->in_body || text[0] == '\0')
		buf_putf(&p->want, "%s\n", text);
}

static void
reply_line(struct play *p, const char *text)
{
	if (p->in_body)
		buf_puts(&p->body, text);
	else if (p->status == 0)
		p->status = (int)strtol(text, NULL, 10);
	else if (str_has_prefix(text, "Retry-After: "))
		p->retry_ms = 1000 * strtol(text + 13, NULL, 10);
	else if (text[0] == '\0')
		p->in_body = true;
	else
		lost(p, "not a header we read: %s", text);
}

static char *
field(struct play *p, const char *name, size_t *size)
{
	struct {
		const char *name;
		char *at;
		size_t size;
	} fields[] = {
		{ "fqdn", p->t.fqdn, sizeof(p->t.fqdn) },
		{ "value", p->t.value, sizeof(p->t.value) },
		{ "soa", p->t.soa_zone, sizeof(p->t.soa_zone) },
		{ "zone", p->t.zone, sizeof(p->t.zone) },
		{ "zone_id", p->t.zone_id, sizeof(p->t.zone_id) },
		{ "record_id", p->t.record_id, sizeof(p->t.record_id) },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].name, name) == 0) {
			*size = fields[i].size;
			return fields[i].at;
		}
	lost(p, "what is \"%s\"?", name);
}

static void
expect_error(struct play *p, char *text)
{
	char *kind = strsep(&text, " "), *ms = strsep(&text, " ");

	if (text == NULL)
		lost(p, "= error KIND MS TEXT");
	if (!p->failed)
		lost(p, "did not fail");
	if (strcmp(kinds[p->e.kind], kind) != 0 ||
	    p->e.retry_ms != strtol(ms, NULL, 10) ||
	    strstr(p->e.text, text) == NULL)
		lost(p, "failed with %s %ld %s", kinds[p->e.kind],
		    (long)p->e.retry_ms, p->e.text);
	for (size_t i = 0; i < p->provider->nsettings; i++)
		if (!p->provider->setting[i].plain &&
		    strlen(p->access.credential[i]) > 3 &&
		    strstr(p->e.text, p->access.credential[i]) != NULL)
			lost(p, "shows a secret: %s", p->e.text);
}

static void
expect(struct play *p, char *text)
{
	char *name = strsep(&text, " ");
	const char *value = text != NULL ? text : "";
	size_t size;

	if (strcmp(name, "error") == 0) {
		expect_error(p, text);
		return;
	}
	if (p->failed)
		lost(p, "failed: %s", p->e.text);
	if (strcmp(name, "wait") == 0) {
		if (p->t.wait_ms != strtol(value, NULL, 10))
			lost(p, "waits %ld ms", (long)p->t.wait_ms);
	} else if (strcmp(name, "done") == 0) {
		if (!provider_done(&p->t))
			lost(p, "is not done");
	} else if (strcmp(name, "open") == 0) {
		if (provider_done(&p->t))
			lost(p, "is done");
	} else if (strcmp(field(p, name, &size), value) != 0) {
		lost(p, "%s is \"%s\"", name, field(p, name, &size));
	}
}

static void
given(struct play *p, char *text)
{
	char *name = strsep(&text, " ");
	size_t size;
	char *at;

	if (text == NULL)
		lost(p, "%s what?", name);
	if (strcmp(name, "provider") == 0) {
		p->provider = provider_get(text, &p->e);
	} else if (strcmp(name, "set") == 0) {
		set_variable(p, text);
	} else if (strcmp(name, "now") == 0) {
		p->now_s = strtol(text, NULL, 10);
	} else if (strcmp(name, "do") == 0) {
		begin(p, text);
	} else if (strcmp(name, "base_url") == 0) {
		get_ready(p);
		p->access.base_url = xstrdup(text);
	} else {
		at = field(p, name, &size);
		if (str_copy(at, size, text, &p->e) == -1)
			lost(p, "%s", p->e.text);
	}
}

static void
play_line(struct play *p, char *line)
{
	char *text = line + (line[0] != '\0' && line[1] == ' ' ? 2 : 1);

	finish(p, line[0]);
	switch (line[0]) {
	case '\0':
	case '#':
		break;
	case '>':
		request_line(p, text);
		break;
	case '<':
		reply_line(p, text);
		break;
	case '=':
		expect(p, text);
		break;
	default:
		given(p, line);
	}
}

static void
play_dialogue(void **state)
{
	struct play p = { .path = *state, .now_s = 1700000000 };
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	FILE *f = fopen(p.path, "r");

	assert_non_null(f);
	http_msg_init(&p.req);
	buf_init(&p.want, 65536);
	buf_init(&p.body, 1 << 20);
	while ((n = getline(&line, &room, f)) != -1) {
		p.line++;
		line[strcspn(line, "\n")] = '\0';
		play_line(&p, line);
	}
	finish(&p, '\0');
	/* A story that ends in the middle proves nothing. */
	if (!p.failed && !provider_done(&p.t))
		lost(&p, "the story ends before the operation");
	free(line);
	fclose(f);
	for (size_t i = 0; i < p.nvars; i++) {
		free(p.var[i]);
		free(p.value[i]);
	}
	txt_record_clear(&p.t);
	provider_access_clear(&p.access);
	http_msg_wipe(&p.req);
	buf_clear(&p.want);
	buf_clear(&p.body);
}

/* What every provider must have a story for. */
static void
every_provider_has_the_common_stories(void **state)
{
	static const char *const stories[] = { "create-beside-another",
		"remove-only-ours", "zone-in-a-subdomain", "wrong-key",
		"slow-down", "server-error", "verify" };
	const struct provider *p;
	char path[256];

	(void)state;
	for (size_t i = 0; (p = provider_at(i)) != NULL; i++)
		for (size_t j = 0; j < sizeof(stories) / sizeof(stories[0]);
		     j++) {
			FILE *f;

			snprintf(path, sizeof(path), DIALOGUES "%s/%s.txt",
			    p->name, stories[j]);
			f = fopen(path, "r");
			if (f == NULL)
				fail_msg("there is no %s", path);
			fclose(f);
		}
}

/* Where the waits and the order of the operations come from. */
static void
every_provider_is_complete(void **state)
{
	const struct provider *p;
	struct err e;

	(void)state;
	for (size_t i = 0; (p = provider_at(i)) != NULL; i++) {
		assert_ptr_equal(provider_get(p->name, &e), p);
		assert_true(str_has_prefix(p->base_url, "https://"));
		assert_false(str_has_suffix(p->base_url, "/"));
		assert_true(p->ttl > 0 && p->poll_ms > 0);
		assert_true(p->limit_ms >= p->poll_ms);
		assert_true(p->nsettings > 0);
		for (size_t j = 0; j < PROVIDER_OPS; j++)
			assert_non_null(p->step[p->first[j]].ask);
		assert_true((p->login.ask == NULL) == (p->login.got == NULL));
		for (size_t j = 0; j < p->nsettings; j++)
			assert_true(str_has_prefix(p->setting[j].name, "DNS_"));
	}
}

int
main(void)
{
	static struct CMUnitTest tests[STORIES_MAX] = {
		cmocka_unit_test(every_provider_has_the_common_stories),
		cmocka_unit_test(every_provider_is_complete),
	};
	size_t n = 2;
	glob_t found;
	int rc;

	if (glob(DIALOGUES "*/*.txt", 0, NULL, &found) != 0)
		return 1;
	for (size_t i = 0; i < found.gl_pathc && n < STORIES_MAX; i++)
		tests[n++] = (struct CMUnitTest){
			.name = found.gl_pathv[i] + strlen(DIALOGUES),
			.test_func = play_dialogue,
			.initial_state = found.gl_pathv[i],
		};
	rc = _cmocka_run_group_tests("provider", tests, n, NULL, NULL);
	globfree(&found);
	return rc;
}
