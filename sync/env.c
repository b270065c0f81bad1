#include "sync/env.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"

#define NEAR 6 /* bytes that two names may begin with, and be alike */

void
env_init(struct env *env)
{
	env->n = 0;
}

static void
forget(struct env_variable *v)
{
	free(v->name);
	mem_wipe_free(v->value);
}

void
env_clear(struct env *env)
{
	for (size_t i = 0; i < env->n; i++)
		forget(&env->variable[i]);
	env->n = 0;
}

const char *
env_get(const struct env *env, const char *name)
{
	for (size_t i = 0; i < env->n; i++)
		if (strcmp(env->variable[i].name, name) == 0)
			return env->variable[i].value;
	return NULL;
}

/* --- names ------------------------------------------------------------------ */

static const struct provider_setting *
setting_of(const struct provider *p, const char *name)
{
	for (size_t i = 0; i < p->nsettings; i++)
		if (strcmp(p->setting[i].name, name) == 0)
			return &p->setting[i];
	return NULL;
}

static const struct provider_setting *
find_setting(const char *name)
{
	const struct provider_setting *s = NULL;
	const struct provider *p;

	for (size_t i = 0; s == NULL && (p = provider_at(i)) != NULL; i++)
		s = setting_of(p, name);
	return s;
}

bool
env_plain(const char *name)
{
	const struct provider_setting *s = find_setting(name);

	return strcmp(name, ENV_PROVIDER) == 0 || (s != NULL && s->plain);
}

bool
env_concerns(const struct provider *p, const char *name)
{
	return strcmp(name, ENV_PROVIDER) == 0 || setting_of(p, name) != NULL;
}

/* How many characters do they begin with together? */
static size_t
alike(const char *a, const char *b)
{
	size_t n = 0;

	while (a[n] != '\0' && a[n] == b[n])
		n++;
	return n;
}

static int
unknown(const char *name, struct err *e)
{
	const char *nearest = ENV_PROVIDER;
	size_t best = alike(name, nearest);
	const struct provider *p;
	char shown[64];

	for (size_t i = 0; (p = provider_at(i)) != NULL; i++) {
		for (size_t j = 0; j < p->nsettings; j++) {
			size_t n = alike(name, p->setting[j].name);

			if (n > best) {
				best = n;
				nearest = p->setting[j].name;
			}
		}
	}
	str_printable(shown, sizeof(shown), name, strlen(name));
	if (best < NEAR)
		return err_set(e, ERR_REFUSED,
		    "%s is no variable of a DNS provider", shown);
	return err_set(e, ERR_REFUSED,
	    "%s is no variable of a DNS provider; did you mean %s?", shown,
	    nearest);
}

/* The word, as the table has it. */
static const char *
find_name(const char *word, size_t len, const char **provider)
{
	const struct provider *p;

	*provider = NULL;
	if (len == strlen(ENV_PROVIDER) && memcmp(word, ENV_PROVIDER, len) == 0)
		return ENV_PROVIDER;
	for (size_t i = 0; (p = provider_at(i)) != NULL; i++) {
		for (size_t j = 0; j < p->nsettings; j++) {
			const char *name = p->setting[j].name;

			if (strlen(name) != len || memcmp(name, word, len) != 0)
				continue;
			*provider = p->name;
			return name;
		}
	}
	return NULL;
}

size_t
env_named(const char *sentence, const char *names[static PROVIDER_SETTINGS_MAX],
    const char **provider)
{
	const char *name, *of;
	size_t n = 0, len;

	*provider = NULL;
	for (const char *p = sentence; *p != '\0' && n < PROVIDER_SETTINGS_MAX;
	     p += len) {
		p += strcspn(p, "D");
		len = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		name = len > 0 ? find_name(p, len, &of) : NULL;
		if (name == NULL)
			continue;
		names[n++] = name;
		if (of != NULL)
			*provider = of;
	}
	return n;
}

/* --- changes ------------------------------------------------------------------ */

/* Where it is, or would be. */
static size_t
place_of(const struct env *env, const char *name)
{
	size_t i = 0;

	while (i < env->n && strcmp(env->variable[i].name, name) < 0)
		i++;
	return i;
}

static bool
is_at(const struct env *env, size_t i, const char *name)
{
	return i < env->n && strcmp(env->variable[i].name, name) == 0;
}

int
env_put(struct env *env, const char *name, const char *value, struct err *e)
{
	struct env_variable *v = env->variable;
	size_t i = place_of(env, name);

	if (strcmp(name, ENV_PROVIDER) != 0 && find_setting(name) == NULL)
		return unknown(name, e);
	if (value[strspn(value, " \t\r\n")] == '\0')
		return err_set(e, ERR_REFUSED,
		    "%s is empty; unset it to be without it", name);
	if (strlen(value) > ENV_VALUE_MAX)
		return err_set(e, ERR_REFUSED, "%s has more than %d characters",
		    name, ENV_VALUE_MAX);
	if (!is_at(env, i, name)) {
		if (env->n == ENV_VARIABLES_MAX)
			return err_set(e, ERR_REFUSED,
			    "%s: there are %zu variables already", name,
			    env->n);
		memmove(&v[i + 1], &v[i], (env->n - i) * sizeof(v[0]));
		env->n++;
		v[i] = (struct env_variable){ xstrdup(name), NULL };
	}
	mem_wipe_free(v[i].value);
	v[i].value = xstrdup(value);
	return 0;
}

bool
env_remove(struct env *env, const char *name)
{
	struct env_variable *v = env->variable;
	size_t i = place_of(env, name);

	if (!is_at(env, i, name))
		return false;
	forget(&v[i]);
	env->n--;
	memmove(&v[i], &v[i + 1], (env->n - i) * sizeof(v[0]));
	return true;
}

/* --- as they are sealed ----------------------------------------------------------- */

int
env_pack(const struct env *env, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < env->n; i++) {
		const struct env_variable *v = &env->variable[i];

		if (buf_put(out, v->name, strlen(v->name) + 1) == -1 ||
		    buf_put(out, v->value, strlen(v->value) + 1) == -1)
			return err_set(e, ERR_REFUSED,
			    "the variables have more than %zu bytes together",
			    out->cap);
	}
	return 0;
}

int
env_unpack(struct env *env, const void *bytes, size_t len, struct err *e)
{
	const char *p = bytes, *end = p + len, *value;

	while (p < end) {
		value = memchr(p, '\0', (size_t)(end - p));
		if (value == NULL || ++value == end ||
		    memchr(value, '\0', (size_t)(end - value)) == NULL ||
		    env->n == ENV_VARIABLES_MAX || p[0] == '\0')
			return err_set(e, ERR_BUG,
			    "the app's variables are not as we keep them");
		/* One that this version does not know is kept. */
		env->variable[env->n++] =
		    (struct env_variable){ xstrdup(p), xstrdup(value) };
		p = value + strlen(value) + 1;
	}
	return 0;
}

/* --- what they give ----------------------------------------------------------------- */

static const char *
value_of(void *arg, const char *name)
{
	return env_get(arg, name);
}

int
env_access(const struct env *env, struct provider_access *a,
    struct provider_vars *bad, struct err *e)
{
	const char *name = env_get(env, ENV_PROVIDER);
	const struct provider *p;
	struct env copy = *env; /* of pointers: only read */
	char word[64];

	*a = (struct provider_access){ .provider = NULL };
	bad->n = 0;
	if (name == NULL)
		return 0;
	/* As everywhere: blanks and line ends of files do not count. */
	name += strspn(name, " \t\r\n");
	if (str_copy(word, sizeof(word), name, e) == -1)
		word[0] = '\0';
	for (size_t n = strlen(word); n > 0 && strchr(" \t\r\n", word[n - 1]);)
		word[--n] = '\0';
	p = provider_get(word, e);
	if (p == NULL) {
		bad->name[bad->n++] = ENV_PROVIDER;
		return -1;
	}
	if (provider_access_init(a, p, value_of, &copy, bad, e) == -1)
		return -1;
	return 1;
}
