/*
 * authority_look() for tests: what the name servers of a name say, and whether
 * a value is visible, as a line of JSON.
 *
 *	look RESOLVER PORT NAME VALUE [TIMEOUT_MS]
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include <event2/event.h>

#include "common/conf.h"
#include "common/loop.h"
#include "sync/authority.h"
#include "sync/visible.h"

static struct event_base *base;
static char *expected;

static json_t *
describe(const struct authority_server *s)
{
	static const char *const results[] = { "ok", "none", "fail" };
	json_t *values = json_array();

	for (size_t i = 0; i < s->nvalues; i++)
		json_array_append_new(values, json_string(s->value[i]));
	return json_pack("{s:s,s:s,s:s,s:s,s:b,s:o}", "host", s->host,
	    "address", s->address, "result", results[s->result], "error",
	    s->error, "no_route", s->no_route, "values", values);
}

static void
on_answer(void *arg, const struct authority_answer *a)
{
	json_t *servers = json_array(), *all;
	char why[256], *text;
	int seen = visible(a, &expected, 1, why, sizeof(why));

	(void)arg;
	for (size_t i = 0; i < a->nservers; i++)
		json_array_append_new(servers, describe(&a->server[i]));
	all = json_pack("{s:b,s:s,s:b,s:s,s:s,s:s,s:o}", "ok",
	    a->result == RESOLVE_OK, "error", a->error, "visible", seen, "why",
	    why, "name", a->name, "zone", a->zone, "servers", servers);
	text = json_dumps(all, JSON_COMPACT);
	puts(text);
	free(text);
	json_decref(all);
	loop_stop(base);
}

int
main(int argc, char **argv)
{
	struct conf conf = { .dns.timeout_ms = 5000 };
	struct authorities *authorities;
	struct err e = { .kind = ERR_NONE };

	if (argc < 5) {
		fputs("look RESOLVER PORT NAME VALUE [TIMEOUT_MS]\n", stderr);
		return 2;
	}
	conf.dns.resolvers = (struct conf_list){ argv + 1, 1 };
	conf.dns.authoritative_port = (int)strtol(argv[2], NULL, 10);
	if (argc > 5)
		conf.dns.timeout_ms = (int)strtol(argv[5], NULL, 10);
	expected = argv[4];
	base = loop_new();
	authorities = authorities_new(base, &conf, &e);
	if (authorities == NULL) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	authority_look(authorities, argv[3], on_answer, NULL);
	event_base_dispatch(base);
	authorities_free(authorities);
	event_base_free(base);
	return 0;
}
