#include "sync/acme_link.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* A parameter: its name and its value without quotes, as spans. */
struct parameter {
	const char *name, *value;
	size_t name_len, value_len;
};

/* From a ";" on; returns where it ends. */
static const char *
take_parameter(const char *p, struct parameter *a)
{
	p += 1 + strspn(p + 1, " \t");
	a->name = p;
	a->name_len = strcspn(p, "=;, \t");
	p += a->name_len;
	p += strspn(p, " \t");
	a->value = p;
	a->value_len = 0;
	if (*p != '=')
		return p;
	p += 1 + strspn(p + 1, " \t");
	if (*p != '"') {
		a->value = p;
		a->value_len = strcspn(p, ";, \t");
		return p + a->value_len;
	}
	a->value = ++p;
	while (*p != '\0' && *p != '"')
		p += p[0] == '\\' && p[1] != '\0' ? 2 : 1;
	if (*p == '\0')
		return p; /* the quote is not closed */
	a->value_len = (size_t)(p - a->value);
	return p + 1;
}

/* The relations are a list of words. */
static bool
has_word(const struct parameter *a, const char *word)
{
	const char *p = a->value, *end = p + a->value_len;
	size_t len = strlen(word), n;

	while (p < end) {
		for (n = 0; p + n < end && p[n] != ' '; n++)
			continue;
		if (n == len && strncasecmp(p, word, n) == 0)
			return true;
		p += n + 1;
	}
	return false;
}

int
acme_link(const char **links, const char *rel, char *url, size_t size)
{
	const char *p = *links, *target;
	struct parameter a;
	size_t len;
	bool found;

	while ((p = strchr(p, '<')) != NULL) {
		target = ++p;
		len = strcspn(p, ">");
		p += len;
		if (*p == '\0')
			break;
		found = false;
		for (p++; p += strspn(p, " \t"), *p == ';';) {
			p = take_parameter(p, &a);
			if (a.name_len == 3 &&
			    strncasecmp(a.name, "rel", 3) == 0)
				found = has_word(&a, rel);
		}
		if (found && len > 0 && len < size) {
			memcpy(url, target, len);
			url[len] = '\0';
			*links = p;
			return 0;
		}
	}
	return -1;
}
