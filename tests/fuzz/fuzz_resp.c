/*
 * Replies from a server that may send anything.  The first byte says how the
 * rest is cut: whatever the pieces, the replies must be those of the whole.
 * And the bytes as arguments of a command must come back as they were.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/rds_codec.h"
#include "common/rds_hello.h"
#include "common/rds_slots.h"
#include "common/rds_switch.h"

#define TEXT_MAX ((size_t)64 << 20)

/* Everything that a reader of the reply can see. */
static void
describe(struct buf *out, const struct rds_reply *r)
{
	buf_putf(out, "%d:%lld:%zu:%zu(", (int)r->type, (long long)r->integer,
	    r->len, r->nitems);
	if (r->str != NULL) {
		assert(r->str[r->len] == '\0');
		buf_put(out, r->str, r->len);
	}
	for (size_t i = 0; i < r->nitems; i++)
		describe(out, &r->item[i]);
	buf_puts(out, ")");
}

/* Look at it as the program does: nothing to compare, it must only hold. */
static void
use(const struct rds_reply *r)
{
	struct rds_conf conf = { .url = "unix:/x", .load_library = true };
	static struct rds_slots slots;
	struct rds_redirect redirect;
	struct rds_switch to;
	struct rds_hello h;
	struct err e;

	rds_field(r, "version");
	for (int step = RDS_HELLO_HELLO; step < RDS_HELLO_LOAD; step++) {
		rds_hello_init(&h, &conf);
		h.step = (enum rds_hello_step)step;
		if (rds_hello_got(&h, r, &e) == -1)
			assert(e.kind != ERR_NONE);
	}
	rds_slots_read(&slots, r, "redis://h:1", false, &e);
	for (int slot = 0; slot < RDS_SLOTS; slot += 97)
		rds_slots_url(&slots, slot);
	if (r->type == RDS_ERROR)
		rds_reply_err(r, &e);
	if (r->str == NULL)
		return;
	if (rds_redirect_parse(&redirect, r->str, "redis://h:1", true) == 0)
		assert(redirect.slot >= 0 && redirect.slot < RDS_SLOTS);
	if (rds_switch_parse(&to, r->str) == 0)
		assert(to.host[0] != '\0' && to.port[0] != '\0');
	assert(rds_slot(r->str, r->len) < RDS_SLOTS);
}

/* Feed in pieces of the given size (0: all at once), describe the replies. */
static void
read_all(const char *bytes, size_t len, size_t piece, struct buf *out)
{
	struct rds_reader *reader = rds_reader_new();
	const struct rds_reply *reply;
	struct err e;
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0;) {
		size_t n = piece > 0 && piece < len - at ? piece : len - at;

		rc = rds_reader_feed(reader, bytes + at, n, &e);
		while (rc == 0 &&
		       (rc = rds_reader_next(reader, &reply, &e)) == 1) {
			describe(out, reply);
			use(reply);
			rc = 0;
		}
		at += n;
	}
	if (rc == -1)
		buf_puts(out, "nonsense");
	rds_reader_free(reader);
}

static void
there_and_back(const char *bytes, size_t len)
{
	struct rds_reader *reader = rds_reader_new();
	const struct rds_reply *reply;
	struct rds_cmd c;
	struct buf out;
	struct err e;

	buf_init(&out, TEXT_MAX);
	rds_cmd(&c, "X");
	rds_arg_mem(&c, bytes, len);
	rds_arg_mem(&c, bytes, len / 2);
	assert(rds_encode(&out, &c) == 0);
	assert(rds_reader_feed(reader, out.p, out.len, &e) == 0);
	assert(rds_reader_next(reader, &reply, &e) == 1);
	assert(reply->type == RDS_ARRAY && reply->nitems == 3);
	assert(reply->item[1].len == len);
	assert(memcmp(reply->item[1].str, bytes, len) == 0);
	assert(reply->item[2].len == len / 2);
	rds_reader_free(reader);
	buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf whole, pieces;

	if (len == 0)
		return 0;
	buf_init(&whole, TEXT_MAX);
	buf_init(&pieces, TEXT_MAX);
	read_all((const char *)data + 1, len - 1, 0, &whole);
	read_all((const char *)data + 1, len - 1, 1 + data[0] % 32, &pieces);
	assert(whole.len == pieces.len);
	assert(memcmp(whole.p, pieces.p, whole.len) == 0);
	buf_clear(&whole);
	buf_clear(&pieces);
	there_and_back((const char *)data + 1, len - 1);
	return 0;
}
