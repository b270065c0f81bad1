/*
 * What was hot before a restart, from a file that anybody may have written: it
 * stays within its bounds, and written down again it says the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/mem.h"
#include "sync/hot.h"

#define MAX 8
#define WALL INT64_C(1764000000000)

static void
put_down(const struct hot *h, struct buf *out)
{
	buf_init(out, HOT_TEXT_MAX);
	if (hot_size(h) > MAX || hot_dump(h, WALL, out) == -1)
		abort();
}

/* Each name is one of ours, and none is hotter than the one before. */
static void
look_at(const struct hot *h, const struct buf *text)
{
	char *line, *space, *save = NULL, *copy = xmemdup0(text->p, text->len);
	char clean[DOMAIN_NAME_MAX];
	uint32_t before = UINT32_MAX;
	struct err e;

	strtok_r(copy, "\n", &save);
	while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
		space = strchr(line, ' ');
		if (space == NULL)
			abort();
		*space = '\0';
		if (domain_normalise(line, clean, &e) == -1 ||
		    strcmp(line, clean) != 0 || hot_heat(h, line) > before)
			abort();
		before = hot_heat(h, line);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hot *h = hot_new(MAX), *again = hot_new(MAX);
	char *text = xmemdup0(data, size);
	struct buf one, other;
	struct err e;

	hot_seen(h, "known.example", 3);
	hot_settle(h, 0);
	if (hot_take(h, text, WALL, 0, &e) == 0) {
		put_down(h, &one);
		look_at(h, &one);
		if (hot_take(again, one.p, WALL, 5, &e) == -1)
			abort();
		put_down(again, &other);
		if (strcmp(one.p, other.p) != 0)
			abort();
		buf_clear(&one);
		buf_clear(&other);
	} else if (hot_heat(h, "known.example") != 3 * 16) {
		abort();
	}
	hot_free(h);
	hot_free(again);
	free(text);
	return 0;
}
