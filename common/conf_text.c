/* The file as text: comments, lines, and names that are nearly right. */
#include <stdio.h>
#include <string.h>

#include "common/conf_table.h"
#include "common/str.h"

#define NAME_MAX_LEN 32 /* of a name that is compared with ours */
#define SHOWN_MAX 64
#define NEAR 3 /* edits that still look like a slip */

/* --- comments ---------------------------------------------------------------- */

/* The position in a text whose comments are being blanked. */
struct scan {
	char *p;
	int line;
	int depth, open_line; /* of braces; line of the outermost open one */
	const char *what;     /* that is not closed */
};

static void
blank_to_end_of_line(struct scan *s)
{
	while (*s->p != '\0' && *s->p != '\n')
		*s->p++ = ' ';
}

static int
blank_c_comment(struct scan *s)
{
	char *end = strstr(s->p + 2, "*/");

	if (end == NULL) {
		s->what = "comment";
		return -1;
	}
	for (; s->p < end + 2; s->p++) {
		if (*s->p == '\n')
			s->line++;
		else
			*s->p = ' ';
	}
	return 0;
}

static int
skip_quoted(struct scan *s)
{
	const char quote = *s->p++;

	while (*s->p != '\0' && *s->p != quote) {
		if (*s->p == '\n')
			break;
		if (*s->p == '\\' && s->p[1] != '\0' && s->p[1] != '\n')
			s->p++;
		s->p++;
	}
	if (*s->p != quote) {
		s->what = "quote";
		return -1;
	}
	s->p++;
	return 0;
}

static void
skip_plain(struct scan *s)
{
	if (*s->p == '\n')
		s->line++;
	if (*s->p == '{' && s->depth++ == 0)
		s->open_line = s->line;
	if (*s->p == '}' && s->depth > 0)
		s->depth--;
	s->p++;
}

static bool
word_begins(const char *text, const char *p)
{
	return p == text || strchr(" \t\r\n{}=,", p[-1]) != NULL;
}

int
conf_strip(char *text, const char **what)
{
	struct scan s = { text, 1, 0, 0, NULL };
	int rc = 0;

	while (*s.p != '\0' && rc == 0) {
		if (*s.p == '#')
			blank_to_end_of_line(&s);
		else if (*s.p == '"' || *s.p == '\'')
			rc = skip_quoted(&s);
		else if (*s.p == '/' && s.p[1] == '/' && word_begins(text, s.p))
			blank_to_end_of_line(&s);
		else if (*s.p == '/' && s.p[1] == '*' && word_begins(text, s.p))
			rc = blank_c_comment(&s);
		else
			skip_plain(&s);
	}
	if (rc == 0 && s.depth > 0) {
		s.what = "{";
		s.line = s.open_line;
	}
	*what = s.what;
	return s.what != NULL ? s.line : 0;
}

/* --- names ------------------------------------------------------------------- */

/* How many characters must be changed, added or left out. */
static size_t
distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	size_t row[NAME_MAX_LEN + 1];

	if (na > NAME_MAX_LEN || nb > NAME_MAX_LEN)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[nb];
}

static const struct conf_setting *
nearest(const char *section, const char *name, bool is_section)
{
	const struct conf_setting *found = NULL;
	size_t best = NEAR + 1;

	for (size_t i = 0; i < conf_nsettings; i++) {
		const struct conf_setting *s = &conf_settings[i];
		const char *other = is_section ? s->section : s->name;
		size_t d = distance(name, other);

		if ((!is_section && strcmp(s->section, section) != 0) ||
		    d >= best || d * 2 > strlen(other))
			continue;
		best = d;
		found = s;
	}
	return found;
}

/* A setting of that name in whatever section has one. */
static const struct conf_setting *
elsewhere(const char *name)
{
	for (size_t i = 0; i < conf_nsettings; i++)
		if (strcmp(conf_settings[i].name, name) == 0)
			return &conf_settings[i];
	return NULL;
}

void
conf_unknown(const char *section, const char *name, bool is_section, char *text,
    size_t size)
{
	const struct conf_setting *near = nearest(section, name, is_section);
	const struct conf_setting *other = is_section ? NULL : elsewhere(name);
	char shown[SHOWN_MAX];

	str_printable(shown, sizeof(shown), name, strlen(name));
	if (is_section && near != NULL && strcmp(near->section, name) == 0)
		snprintf(text, size,
		    "the section \"%s\" must not stand in another", shown);
	else if (is_section && near != NULL)
		snprintf(text, size,
		    "unknown section \"%s\"; did you mean \"%s\"?", shown,
		    near->section);
	else if (is_section)
		snprintf(text, size, "unknown section \"%s\"", shown);
	else if (other != NULL && other->section[0] == '\0')
		snprintf(text, size,
		    "\"%s\" must stand outside of the sections", shown);
	else if (other != NULL)
		snprintf(text, size, "\"%s\" must stand in \"%s { }\"", shown,
		    other->section);
	else if (near != NULL)
		snprintf(text, size,
		    "unknown setting \"%s\"; did you mean \"%s\" (%s)?", shown,
		    near->name, near->help);
	else
		snprintf(text, size, "unknown setting \"%s\"", shown);
}
