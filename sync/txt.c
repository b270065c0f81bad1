#include "sync/txt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/mem.h"
#include "common/str.h"

void
txt_key(const struct txt *t, char key[static TXT_KEY_MAX])
{
	snprintf(key, TXT_KEY_MAX, "%s %s", t->fqdn, t->value);
}

/* The text members, by name. */
#define TEXTS(t)                                                     \
	{ "domain", (t)->domain, sizeof((t)->domain) },              \
	    { "app", (t)->app, sizeof((t)->app) },                   \
	    { "provider", (t)->provider, sizeof((t)->provider) },    \
	    { "fqdn", (t)->fqdn, sizeof((t)->fqdn) },                \
	    { "value", (t)->value, sizeof((t)->value) },             \
	    { "zone", (t)->zone, sizeof((t)->zone) },                \
	    { "zone_id", (t)->zone_id, sizeof((t)->zone_id) },       \
	    { "record_id", (t)->record_id, sizeof((t)->record_id) }, \
	{                                                            \
		NULL, NULL, 0                                        \
	}

char *
txt_write(const struct txt *t)
{
	const struct {
		const char *name;
		const char *text;
		size_t size;
	} texts[] = { TEXTS(t) };
	json_t *o = json_object();
	char *text, *out;

	for (size_t i = 0; texts[i].name != NULL; i++)
		json_object_set_new(
		    o, texts[i].name, json_string(texts[i].text));
	json_object_set_new(o, "at", json_integer(t->at));
	if (t->sealed != NULL)
		json_object_set_new(o, "sealed", json_string(t->sealed));
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text == NULL)
		return xstrdup("{}");
	out = xstrdup(text);
	free(text);
	return out;
}

int
txt_read(struct txt *t, const char *json, struct err *e)
{
	const struct {
		const char *name;
		char *text;
		size_t size;
	} texts[] = { TEXTS(t) };
	json_t *o = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
	const char *text;
	int rc = 0;

	*t = (struct txt){ 0 };
	for (size_t i = 0; texts[i].name != NULL && rc == 0; i++) {
		text = json_string_value(json_object_get(o, texts[i].name));
		if (text == NULL ||
		    str_copy(texts[i].text, texts[i].size, text, e) == -1)
			rc = -1;
	}
	t->at = json_integer_value(json_object_get(o, "at"));
	t->sealed = xstrdup(json_string_value(json_object_get(o, "sealed")));
	json_decref(o);
	if (rc == -1 || t->domain[0] == '\0' || t->app[0] == '\0' ||
	    t->fqdn[0] == '\0' || t->value[0] == '\0')
		return err_set(
		    e, ERR_BUG, "a journal entry of a TXT record is not ours");
	return 0;
}

void
txt_clear(struct txt *t)
{
	free(t->sealed);
	t->sealed = NULL;
}
