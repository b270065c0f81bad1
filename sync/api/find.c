/* Domains by what is searched for, a page after the other. */
#include <ctype.h>
#include <string.h>

#include "sync/api/request.h"

static void
got_found(void *arg, const struct domain *const *d, size_t n, const char *next,
    const struct err *e)
{
	struct request *q = arg;
	json_t *list;

	if (e != NULL) {
		request_store_error(q, e);
		return;
	}
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_own_domain(d[i]));
	request_reply(q, 200,
	    json_pack("{s:o, s:o}", "domains", list, "next", json_text(next)));
}

/* A query in lower case, as names are; -1 when it has been answered. */
static int
read_text(struct request *q, const char *key, char out[static DOMAIN_NAME_MAX])
{
	const char *text = target_query(&q->target, key);
	size_t len = text != NULL ? strlen(text) : 0;

	if (len >= DOMAIN_NAME_MAX) {
		request_error(q, 400, "bad_request",
		    "%s has %zu bytes; a name has at most %d", key, len,
		    DOMAIN_NAME_MAX - 1);
		return -1;
	}
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[len] = '\0';
	return 0;
}

/* Of which apps: the one that is asked for, or those of the token. */
static void
choose_apps(const struct request *q, const char *app, struct store_search *s)
{
	json_t *one;
	size_t i;

	if (app != NULL) {
		s->app[s->napps++] = app;
		return;
	}
	if (!q->by_token || q->token.apps == NULL)
		return;
	json_array_foreach (q->token.apps, i, one)
		if (s->napps < STORE_SEARCH_APPS)
			s->app[s->napps++] = json_string_value(one);
}

void
find_part(struct request *q, int status, const char *after, store_found_fn *fn)
{
	struct store_search s = { .text = "", .status = status };

	choose_apps(q, NULL, &s);
	s.after = after;
	s.limit = STORE_SEARCH_LIMIT;
	store_find(q->api->store, &s, fn, q);
}

void
find_domains(struct request *q, const char *app, int status, size_t limit)
{
	struct store_search s = { .status = status };
	char text[DOMAIN_NAME_MAX], after[DOMAIN_NAME_MAX];

	if (read_text(q, "q", text) == -1 || read_text(q, "after", after) == -1)
		return;
	choose_apps(q, app, &s);
	s.text = text;
	s.after = after;
	s.limit = limit < STORE_SEARCH_LIMIT ? limit : STORE_SEARCH_LIMIT;
	store_find(q->api->store, &s, got_found, q);
}
