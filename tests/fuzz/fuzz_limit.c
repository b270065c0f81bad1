/* What a CA says of its limits, and lines of a ledger: nothing is believed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/ledger.h"
#include "sync/limit.h"

#define NOW INT64_C(1767225600000)
#define MONTH INT64_C(2592000000)

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static void
problem(const char *detail)
{
	struct limit_problem p;

	limit_problem(detail, 0, NOW, &p);
	must(p.until > NOW && p.until <= NOW + MONTH);
	must(p.bucket < LIMIT_BUCKETS && (p.known || p.bucket == LIMIT_SET));
	must(p.url[0] == '\0' || str_has_prefix(p.url, "https://"));
	for (const char *c = p.url; *c != '\0'; c++)
		must(*c > ' ' && *c < 0x7f);
	limit_problem(detail, 5000, NOW, &p);
	must(p.until == NOW + 5000 && !p.paused);
}

/* What was taken is written, and what is written is taken again. */
static void
ledger(const char *line, size_t len)
{
	struct ledger *l = ledger_new(), *again = ledger_new();
	struct buf out;
	char *end;

	buf_init(&out, 4096);
	if (ledger_take(l, line, len)) {
		must(ledger_dump(l, &out) == 0);
		for (char *p = out.p; (end = strchr(p, '\n')) != NULL;
		     p = end + 1)
			must(ledger_take(again, p, (size_t)(end - p)));
		must(ledger_size(l) == ledger_size(again));
	} else {
		must(ledger_size(l) == 0);
	}
	buf_clear(&out);
	ledger_free(l);
	ledger_free(again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmemdup0(data, size);

	problem(text);
	ledger(text, size);
	free(text);
	return 0;
}
