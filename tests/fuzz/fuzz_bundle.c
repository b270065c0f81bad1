/*
 * A bundle as Redis or a disk may hand it to us: never more memory than its
 * bytes can name, and nothing opens that was not sealed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "sync/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct seal_ring *
make_ring(void)
{
	char dir[] = "/tmp/fuzz_bundle.XXXXXX", path[64];
	struct seal_ring *ring;
	struct err e;

	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/kek", dir);
	if (seal_ring_create(path, &e) == -1)
		abort();
	ring = seal_ring_load(path, &e);
	unlink(path);
	rmdir(dir);
	if (ring == NULL)
		abort();
	return ring;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct seal_ring *ring;
	struct bundle_about about;
	struct err e = { 0 };
	struct cert c;
	char *key;

	if (ring == NULL)
		ring = make_ring();
	/* The ring is new: nobody can have sealed anything with it. */
	if (bundle_open(
		ring, "certfleet.invalid", data, len, 0, &c, &key, &e) == 0)
		abort();
	if (e.kind == ERR_NONE || e.text[0] == '\0' || key != NULL ||
	    c.chain != NULL)
		abort();
	/* There may be no second one, but none that opens. */
	e = (struct err){ 0 };
	if (bundle_open_second(
		ring, "certfleet.invalid", data, len, 0, &c, &key, &e) == -1 &&
	    (e.kind == ERR_NONE || e.text[0] == '\0'))
		abort();
	if (key != NULL || c.chain != NULL)
		abort();
	/* What it tells of its record is text that ends, and an app that can be. */
	e = (struct err){ 0 };
	if (bundle_about(&about, data, len, &e) == -1
		? e.kind == ERR_NONE
		: about.app[0] != '\0' && domain_app_check(about.app, &e) == -1)
		abort();
	if (strnlen(about.ca, sizeof(about.ca)) == sizeof(about.ca))
		abort();
	return 0;
}
