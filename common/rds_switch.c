#include "common/rds_switch.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/str.h"

#define WORDS 5

/* The next word; returns what follows it, or NULL when it does not fit. */
static const char *
take(const char *text, char *word, size_t size)
{
	size_t len = strcspn(text, " ");

	if (len == 0 || len >= size)
		return NULL;
	memcpy(word, text, len);
	word[len] = '\0';
	return text + len + (text[len] == ' ');
}

int
rds_switch_parse(struct rds_switch *s, const char *text)
{
	char host[sizeof(s->host)], port[sizeof(s->port)];
	struct {
		char *word;
		size_t size;
	} const words[WORDS] = {
		{ s->name, sizeof(s->name) },
		{ host, sizeof(host) },
		{ port, sizeof(port) },
		{ s->host, sizeof(s->host) },
		{ s->port, sizeof(s->port) },
	};
	int64_t number;

	for (int i = 0; i < WORDS; i++) {
		text = take(text, words[i].word, words[i].size);
		if (text == NULL)
			return -1;
	}
	return text[0] == '\0' ? str_int(s->port, 1, 65535, &number) : -1;
}
