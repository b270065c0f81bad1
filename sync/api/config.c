/* The settings of this node as they are in effect; secrets are not told. */
#include <stdio.h>

#include "common/conf.h"
#include "sync/api/request.h"

#define NAME_MAX_LEN 128

static json_t *
json_texts(const struct conf_list *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < list->n; i++)
		json_array_append_new(out, json_text(list->item[i]));
	return out;
}

static json_t *
json_value(const struct conf_shown *v)
{
	if (v->secret)
		return v->on ? json_string("(set)") : json_null();
	if (v->is_switch)
		return json_boolean(v->on);
	if (v->number != NULL)
		return json_integer(*v->number);
	return v->list != NULL ? json_texts(v->list) : json_text(v->text);
}

static void
put(void *arg, const struct conf_shown *v)
{
	char name[NAME_MAX_LEN];

	if (v->provider != NULL)
		snprintf(name, sizeof(name), "%s.%s.%s", v->section,
		    v->provider, v->name);
	else
		snprintf(name, sizeof(name), "%s%s%s", v->section,
		    v->section[0] != '\0' ? "." : "", v->name);
	json_array_append_new(
	    arg, json_pack("{s:s, s:o, s:b, s:b}", "name", name, "value",
		     json_value(v), "default", (int)v->initial, "secret",
		     (int)v->secret));
}

void
config_show(struct request *q)
{
	json_t *settings = json_array();

	conf_show(q->api->conf, put, settings);
	request_reply(q, 200,
	    json_pack("{s:o, s:o}", "node", json_text(q->api->conf->node),
		"settings", settings));
}
