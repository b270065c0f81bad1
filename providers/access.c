#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "providers/provider.h"

#define WAYS_MAX 2

/* A copy without the blanks and line ends that files and editors leave. */
static char *
trimmed(const char *value)
{
	size_t len = value != NULL ? strlen(value) : 0;

	while (len > 0 && strchr(" \t\r\n", value[len - 1]) != NULL)
		len--;
	return xmemdup0(value != NULL ? value : "", len);
}

/* Values go into headers and URLs. */
static bool
has_control(const char *s, bool lines)
{
	for (; *s != '\0'; s++)
		if (iscntrl((unsigned char)*s) &&
		    !(lines && strchr("\r\n\t", *s) != NULL))
			return true;
	return false;
}

/* "A, B and C" */
static void
list_vars(const struct provider_vars *vars, struct buf *b)
{
	for (size_t i = 0; i < vars->n; i++)
		buf_putf(b, "%s%s",
		    i == 0             ? ""
		    : i + 1 == vars->n ? " and "
				       : ", ",
		    vars->name[i]);
}

/* What a way to sign in lacks; returns how much of it is there. */
static size_t
missing_for(const struct provider_access *a, unsigned int way,
    struct provider_vars *missing)
{
	const struct provider *p = a->provider;
	size_t there = 0;

	missing->n = 0;
	for (size_t i = 0; i < p->nsettings; i++) {
		if ((p->setting[i].ways & way) == 0)
			continue;
		if (a->credential[i][0] != '\0')
			there++;
		else
			missing->name[missing->n++] = p->setting[i].name;
	}
	return there;
}

static bool
has_way(const struct provider *p, unsigned int way)
{
	for (size_t i = 0; i < p->nsettings; i++)
		if (p->setting[i].ways & way)
			return true;
	return false;
}

/* The sentence is about the way that was begun, else about the first. */
static int
check_complete(
    const struct provider_access *a, struct provider_vars *bad, struct err *e)
{
	const struct provider *p = a->provider;
	struct provider_vars missing;
	size_t there, most = 0;
	struct buf text;

	for (unsigned int i = 0; i < WAYS_MAX; i++) {
		if (!has_way(p, 1u << i))
			break;
		there = missing_for(a, 1u << i, &missing);
		if (missing.n == 0) {
			bad->n = 0;
			return 0;
		}
		if (i == 0 || there > most) {
			most = there;
			*bad = missing;
		}
	}
	buf_init(&text, 256);
	list_vars(bad, &text);
	err_set(e, ERR_CONFIG, "%s needs %s, which %s not set", p->name, text.p,
	    bad->n == 1 ? "is" : "are");
	buf_clear(&text);
	return -1;
}

static int
check_controls(
    const struct provider_access *a, struct provider_vars *bad, struct err *e)
{
	const struct provider *p = a->provider;
	struct buf text;

	for (size_t i = 0; i < p->nsettings; i++)
		if (has_control(a->credential[i], p->setting[i].lines))
			bad->name[bad->n++] = p->setting[i].name;
	if (bad->n == 0)
		return 0;
	buf_init(&text, 256);
	list_vars(bad, &text);
	err_set(e, ERR_CONFIG, "%s must not have control characters", text.p);
	buf_clear(&text);
	return -1;
}

int
provider_access_init(struct provider_access *a, const struct provider *p,
    provider_value_fn *value, void *arg, struct provider_vars *bad,
    struct err *e)
{
	*a = (struct provider_access){ .provider = p };
	bad->n = 0;
	for (size_t i = 0; i < p->nsettings; i++)
		a->credential[i] = trimmed(value(arg, p->setting[i].name));
	if (check_controls(a, bad, e) == -1 || check_complete(a, bad, e) == -1)
		return -1;
	if (p->check == NULL)
		return 0;
	return p->check((const char *const *)a->credential, bad, e);
}

void
provider_access_clear(struct provider_access *a)
{
	for (size_t i = 0; i < PROVIDER_SETTINGS_MAX; i++)
		mem_wipe_free(a->credential[i]);
	mem_wipe_free(a->token);
	free(a->base_url);
	json_decref(a->accounts);
	*a = (struct provider_access){ .provider = NULL };
}
