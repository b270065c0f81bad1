/* The settings as a table: for the conf files and their tests only. */
#ifndef COMMON_CONF_TABLE_H
#define COMMON_CONF_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/err.h"

enum conf_type {
	CONF_IS_STRING, /* min and max are of its length */
	CONF_IS_PATH,   /* absolute; min and max are of its length */
	CONF_IS_SECRET, /* in the file: where it is */
	CONF_IS_INT,
	CONF_IS_BOOL,
	CONF_IS_LEVEL,
	CONF_IS_LIST, /* of strings; min and max are of its length */
};

struct conf_setting {
	const char *section; /* "": the top level */
	const char *name;
	size_t offset; /* in struct conf */
	enum conf_type type;
	int64_t min, max;
	const char *unit; /* of an int, for people */
	/* The default, of a list its one item; NULL: see conf_derive(). */
	const char *initial;
	const char *help; /* one line */
};

#define CONF_LIST_MAX 256 /* items */

extern const struct conf_setting conf_settings[];
extern const size_t conf_nsettings;

/*
 * The settings in provider "NAME" { }: offset is in struct conf_provider, and
 * the names are those of the providers there are.
 */
#define CONF_PROVIDER_SETTINGS 2
extern const struct conf_setting conf_provider_settings[CONF_PROVIDER_SETTINGS];
extern const char *const conf_provider_names[CONF_PROVIDERS];

/* Which provider's section that is, -1: there is no such. */
int conf_provider_index(const char *name);

/* The setting of that name in that section, or NULL. */
const struct conf_setting *conf_find(const char *section, const char *name);

/* The member of c, or of a provider's section, that a setting sets. */
void *conf_member(struct conf *c, const struct conf_setting *);
void *conf_provider_member(struct conf_provider *, const struct conf_setting *);

/*
 * Give a setting, by its member, its value, n texts as they stand in the file.  ERR_CONFIG
 * begins with the setting's name and says what is expected.
 */
int conf_set(void *member, const struct conf_setting *,
    const char *const *value, size_t n, struct err *);

/* Every setting's default; those made from others stay "". */
void conf_set_initial(struct conf *);

/* Fill the settings whose default is made from others. */
void conf_derive(struct conf *);

/*
 * What no setting can be asked alone: addresses, pairs, what goes together.
 * fault() is called for each, with the member that is wrong.
 */
typedef void conf_fault_fn(void *arg, const void *member, const char *text);
void conf_rules(const struct conf *, conf_fault_fn *fault, void *arg);

/*
 * A sentence about a name that is no setting (or, with is_section, no
 * section): where it belongs, or what was meant.
 */
void conf_unknown(const char *section, const char *name, bool is_section,
    char *text, size_t size);

/*
 * Read a text as conf_load() reads a file, or without secrets as
 * conf_load_public(); path is what the messages call it.  text is changed:
 * comments become spaces.
 */
struct conf *conf_parse(
    const char *path, char *text, bool secrets, struct err *);

/*
 * Make comments ("#" anywhere outside quotes, "//" and C's where a word
 * begins) spaces, so that what libconfuse counts as lines are lines.  Returns
 * 0, or the line of a quote, comment or brace that is not closed, with *what
 * naming it.
 */
int conf_strip(char *text, const char **what);

#endif
