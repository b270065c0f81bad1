#include "sync/bundle_bounds.h"

#include <stdint.h>

/* What a first byte announces: fixed bytes, and where a length or count is. */
struct announced {
	size_t head;     /* bytes of the whole head */
	size_t len_size; /* of them, the last so many are a length or count */
	uint64_t len;    /* bytes that follow */
	uint64_t items;  /* objects that follow */
};

static uint64_t
big_endian(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* The forms whose length or count stands in the first byte. */
static bool
announce_fix(uint8_t b, struct announced *a)
{
	if (b <= 0x7f || b >= 0xe0)
		return true; /* fixint */
	if (b <= 0x8f)
		a->items = (uint64_t)(b & 0x0f) * 2;
	else if (b <= 0x9f)
		a->items = b & 0x0f;
	else if (b <= 0xbf)
		a->len = b & 0x1f;
	else
		return false;
	return true;
}

/* 0xc0 to 0xdf: bytes of data that follow, or size of the length field. */
static int
announce(const uint8_t *p, size_t left, struct announced *a)
{
	static const uint8_t data[0x20] = { [0x0a] = 4,
		[0x0b] = 8,
		[0x0c] = 1,
		[0x0d] = 2,
		[0x0e] = 4,
		[0x0f] = 8,
		[0x10] = 1,
		[0x11] = 2,
		[0x12] = 4,
		[0x13] = 8,
		[0x14] = 2,
		[0x15] = 3,
		[0x16] = 5,
		[0x17] = 9,
		[0x18] = 17 };
	static const uint8_t lens[0x20] = { [0x04] = 1,
		[0x05] = 2,
		[0x06] = 4,
		[0x07] = 1,
		[0x08] = 2,
		[0x09] = 4,
		[0x19] = 1,
		[0x1a] = 2,
		[0x1b] = 4,
		[0x1c] = 2,
		[0x1d] = 4,
		[0x1e] = 2,
		[0x1f] = 4 };
	uint8_t b = p[0], i = b & 0x1f;
	uint64_t n;

	*a = (struct announced){ .head = 1 };
	if (announce_fix(b, a))
		return 0;
	a->len = data[i];
	a->len_size = lens[i];
	if (a->len_size > left - 1)
		return -1;
	a->head += a->len_size;
	n = big_endian(p + 1, a->len_size);
	if (b == 0xdc || b == 0xdd)
		a->items = n;
	else if (b == 0xde || b == 0xdf)
		a->items = n * 2;
	else if (b >= 0xc7 && b <= 0xc9)
		a->len = n + 1; /* ext: a type, too */
	else
		a->len += n;
	return 0;
}

bool
bundle_bounded(const void *bytes, size_t left)
{
	const uint8_t *p = bytes;
	struct announced a;
	uint64_t needed = 1;

	while (needed > 0) {
		if (left == 0 || announce(p, left, &a) == -1 ||
		    a.len > left - a.head)
			return false;
		p += a.head + a.len;
		left -= a.head + a.len;
		needed += a.items;
		needed--;
		if (needed > left)
			return false;
	}
	return left == 0;
}
