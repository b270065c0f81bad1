/* The settings as they are in effect, for people to look at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_table.h"
#include "common/mem.h"

static const char *const levels[LOG_LEVELS] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const void *
member_of(const void *base, const struct conf_setting *s)
{
	return (const char *)base + s->offset;
}

static bool
same_list(const struct conf_list *a, const struct conf_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return false;
	return true;
}

/* The members hold the same. */
static bool
same(const struct conf_setting *s, const void *a, const void *b)
{
	switch (s->type) {
	case CONF_IS_STRING:
	case CONF_IS_PATH:
	case CONF_IS_SECRET:
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	case CONF_IS_INT:
		return *(const int *)a == *(const int *)b;
	case CONF_IS_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case CONF_IS_LEVEL:
		return *(const enum log_level *)a == *(const enum log_level *)b;
	case CONF_IS_LIST:
		return same_list(a, b);
	}
	return false;
}

static void
show(const struct conf_setting *s, const char *provider, const void *member,
    const void *initial, conf_show_fn *fn, void *arg)
{
	struct conf_shown v = { .name = s->name,
		.section = s->section,
		.provider = provider,
		.initial = same(s, member, initial) };

	switch (s->type) {
	case CONF_IS_STRING:
	case CONF_IS_PATH:
		v.text = *(char *const *)member;
		break;
	case CONF_IS_SECRET:
		v.secret = true;
		v.on = (*(char *const *)member)[0] != '\0';
		break;
	case CONF_IS_INT:
		v.number = (const int *)member;
		break;
	case CONF_IS_BOOL:
		v.is_switch = true;
		v.on = *(const bool *)member;
		break;
	case CONF_IS_LEVEL:
		v.text = levels[*(const enum log_level *)member];
		break;
	case CONF_IS_LIST:
		v.list = member;
		break;
	}
	fn(arg, &v);
}

static void
take(char **member, const char *text)
{
	free(*member);
	*member = xstrdup(text);
}

/* What it would be with nothing in the file but where directories are. */
static struct conf *
nothing_set(const struct conf *c)
{
	struct conf *initial = xcalloc(1, sizeof(*initial));

	conf_set_initial(initial);
	take(&initial->state_dir, c->state_dir);
	take(&initial->run_dir, c->run_dir);
	conf_derive(initial);
	/* These themselves are compared with what they are by default. */
	take(&initial->state_dir, conf_find("", "state_dir")->initial);
	take(&initial->run_dir, conf_find("", "run_dir")->initial);
	return initial;
}

void
conf_show(const struct conf *c, conf_show_fn *fn, void *arg)
{
	struct conf *initial = nothing_set(c);

	for (size_t i = 0; i < conf_nsettings; i++) {
		const struct conf_setting *s = &conf_settings[i];

		show(s, NULL, member_of(c, s), member_of(initial, s), fn, arg);
	}
	for (size_t i = 0; i < CONF_PROVIDERS; i++)
		for (size_t j = 0; j < CONF_PROVIDER_SETTINGS; j++) {
			const struct conf_setting *s =
			    &conf_provider_settings[j];

			show(s, conf_provider_names[i],
			    member_of(&c->provider[i], s),
			    member_of(&initial->provider[i], s), fn, arg);
		}
	conf_free(initial);
}
