#include "sync/wiping.h"

#include <jansson.h>
#include <openssl/crypto.h>

#include "common/mem.h"

static void *
allocate(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return xmalloc(size);
}

static void *
resize(void *old, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	if (size > 0)
		return mem_resize(old, size);
	mem_release(old);
	return NULL;
}

static void
release(void *p, const char *file, int line)
{
	(void)file, (void)line;
	mem_release(p);
}

/* libevent's and libcurl's are set where these are used. */
void
wiping_begin(void)
{
	json_set_alloc_funcs(xmalloc, mem_release);
	CRYPTO_set_mem_functions(allocate, resize, release);
}
