/* A domain's record in msgpack: what is read can be written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/domain.h"

#define ROOM (1024 * 1024)

static void
put_field(void *arg, const char *field, const char *value)
{
	if (buf_putf(arg, "%s=%s\n", field, value) == -1)
		abort();
}

static void
as_text(const struct domain *d, struct buf *out)
{
	buf_init(out, ROOM);
	domain_each(d, put_field, out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct domain d, copy;
	struct buf packed, a, b;
	struct err e = { 0 };

	domain_init(&d);
	if (domain_unpack(&d, data, size, &e) == -1) {
		if (e.kind != ERR_BUG || e.text[0] == '\0')
			abort();
		domain_clear(&d);
		return 0;
	}
	domain_init(&copy);
	buf_init(&packed, ROOM);
	if (domain_pack(&d, &packed, &e) == -1 ||
	    domain_unpack(&copy, packed.p, packed.len, &e) == -1)
		abort();
	as_text(&d, &a);
	as_text(&copy, &b);
	if (strcmp(a.p, b.p) != 0)
		abort();
	buf_clear(&a);
	buf_clear(&b);
	buf_clear(&packed);
	domain_clear(&d);
	domain_clear(&copy);
	return 0;
}
