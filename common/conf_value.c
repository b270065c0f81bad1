/* One setting: from the texts of the file to a member of struct conf. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/conf_table.h"
#include "common/mem.h"
#include "common/secret.h"
#include "common/str.h"

#define SHOWN_MAX 64 /* of a wrong value in a message */

const struct conf_setting *
conf_find(const char *section, const char *name)
{
	for (size_t i = 0; i < conf_nsettings; i++)
		if (strcmp(conf_settings[i].section, section) == 0 &&
		    strcmp(conf_settings[i].name, name) == 0)
			return &conf_settings[i];
	return NULL;
}

void *
conf_member(struct conf *c, const struct conf_setting *s)
{
	return (char *)c + s->offset;
}

void *
conf_provider_member(struct conf_provider *p, const struct conf_setting *s)
{
	return (char *)p + s->offset;
}

int
conf_provider_index(const char *name)
{
	for (int i = 0; i < CONF_PROVIDERS; i++)
		if (strcmp(conf_provider_names[i], name) == 0)
			return i;
	return -1;
}

const struct conf_provider *
conf_provider(const struct conf *c, const char *name)
{
	int i = conf_provider_index(name);

	return i != -1 ? &c->provider[i] : NULL;
}

static void
clear_list(struct conf_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct conf_list){ NULL, 0 };
}

static int
wrong(const struct conf_setting *s, const char *value, struct err *e,
    const char *expected)
{
	char shown[SHOWN_MAX];

	str_printable(shown, sizeof(shown), value, strlen(value));
	return err_set(e, ERR_CONFIG, "%s must be %s, not \"%s\"", s->name,
	    expected, shown);
}

static int
set_int(
    int *member, const struct conf_setting *s, const char *value, struct err *e)
{
	char expected[80];
	int64_t v;

	if (str_int(value, s->min, s->max, &v) == 0) {
		*member = (int)v;
		return 0;
	}
	snprintf(expected, sizeof(expected), "between %lld and %lld",
	    (long long)s->min, (long long)s->max);
	return wrong(s, value, e, expected);
}

static int
set_bool(bool *member, const struct conf_setting *s, const char *value,
    struct err *e)
{
	if (strcmp(value, "true") == 0 || strcmp(value, "yes") == 0 ||
	    strcmp(value, "on") == 0)
		*member = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "no") == 0 ||
		 strcmp(value, "off") == 0)
		*member = false;
	else
		return wrong(s, value, e, "true or false");
	return 0;
}

static int
set_level(enum log_level *member, const struct conf_setting *s,
    const char *value, struct err *e)
{
	int level = log_level_parse(value);

	if (level == -1)
		return wrong(s, value, e, "error, warn, info or debug");
	*member = (enum log_level)level;
	return 0;
}

/* Length and characters of a text; its value is not shown: it may be long. */
static int
check_text(const struct conf_setting *s, const char *value, struct err *e)
{
	size_t len = strlen(value);

	if (len == 0 && s->min > 0)
		return err_set(e, ERR_CONFIG, "%s must not be empty", s->name);
	if ((int64_t)len < s->min || (int64_t)len > s->max)
		return err_set(e, ERR_CONFIG,
		    "%s must be %lld to %lld characters long, not %zu", s->name,
		    (long long)s->min, (long long)s->max, len);
	for (const char *p = value; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, ERR_CONFIG,
			    "%s must not have control characters", s->name);
	return 0;
}

static int
set_text(char **member, const struct conf_setting *s, const char *value,
    struct err *e)
{
	if (check_text(s, value, e) == -1)
		return -1;
	if (s->type == CONF_IS_PATH && value[0] != '/' && value[0] != '\0')
		return wrong(s, value, e, "a path that begins with \"/\"");
	free(*member);
	*member = xstrdup(value);
	return 0;
}

static int
set_secret(char **member, const struct conf_setting *s, const char *value,
    struct err *e)
{
	struct buf secret;
	int rc = 0;

	buf_init(&secret, SECRET_MAX);
	if (value[0] != '\0')
		rc = secret_read(value, &secret, e);
	if (rc == 0) {
		mem_wipe_free(*member);
		*member = xstrdup(secret.p);
	} else {
		err_prefix(e, "%s", s->name);
	}
	buf_wipe(&secret);
	return rc;
}

static int
set_list(struct conf_list *member, const struct conf_setting *s,
    const char *const *value, size_t n, struct err *e)
{
	if (n > CONF_LIST_MAX)
		return err_set(e, ERR_CONFIG,
		    "%s has %zu values; at most %d are allowed", s->name, n,
		    CONF_LIST_MAX);
	for (size_t i = 0; i < n; i++)
		if (check_text(s, value[i], e) == -1)
			return -1;
	clear_list(member);
	member->item = xcalloc(n, sizeof(*member->item));
	for (; member->n < n; member->n++)
		member->item[member->n] = xstrdup(value[member->n]);
	return 0;
}

int
conf_set(void *member, const struct conf_setting *s, const char *const *value,
    size_t n, struct err *e)
{
	if (s->type != CONF_IS_LIST && n != 1)
		return err_set(
		    e, ERR_CONFIG, "%s takes one value, not %zu", s->name, n);
	switch (s->type) {
	case CONF_IS_STRING:
	case CONF_IS_PATH:
		return set_text(member, s, value[0], e);
	case CONF_IS_SECRET:
		return set_secret(member, s, value[0], e);
	case CONF_IS_INT:
		return set_int(member, s, value[0], e);
	case CONF_IS_BOOL:
		return set_bool(member, s, value[0], e);
	case CONF_IS_LEVEL:
		return set_level(member, s, value[0], e);
	case CONF_IS_LIST:
		return set_list(member, s, value, n, e);
	}
	return -1;
}

void
conf_set_initial(struct conf *c)
{
	for (size_t i = 0; i < conf_nsettings; i++) {
		const struct conf_setting *s = &conf_settings[i];
		const char *initial = s->initial;
		struct err e;

		if (initial == NULL)
			initial = "";
		if (conf_set(conf_member(c, s), s, &initial,
			s->type != CONF_IS_LIST || initial[0] != '\0',
			&e) == -1)
			abort(); /* the table contradicts itself */
	}
	for (size_t i = 0; i < CONF_PROVIDERS; i++) {
		c->provider[i].base_url = xstrdup("");
		c->provider[i].ca_file = xstrdup("");
	}
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < conf_nsettings; i++) {
		void *member = conf_member(c, &conf_settings[i]);

		switch (conf_settings[i].type) {
		case CONF_IS_STRING:
		case CONF_IS_PATH:
			free(*(char **)member);
			break;
		case CONF_IS_SECRET:
			mem_wipe_free(*(char **)member);
			break;
		case CONF_IS_LIST:
			clear_list(member);
			break;
		case CONF_IS_INT:
		case CONF_IS_BOOL:
		case CONF_IS_LEVEL:
			break;
		}
	}
	for (size_t i = 0; i < CONF_PROVIDERS; i++) {
		free(c->provider[i].base_url);
		free(c->provider[i].ca_file);
	}
	free(c->embedded_url);
	free(c);
}
