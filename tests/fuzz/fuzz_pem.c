/*
 * A chain from outside: what is accepted is written anew, means the same when
 * read again, and has nothing in it that HAProxy would take for a command.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cert c, again;
	struct err e = { 0 };
	char *pem = xmemdup0(data, len);

	if (cert_parse(&c, pem, len, &e) == -1) {
		must(e.kind == ERR_BUG && e.text[0] != '\0');
		must(c.chain == NULL);
		free(pem);
		return 0;
	}
	must(c.length >= 1 && c.length <= CERT_CHAIN_MAX);
	must(strlen(c.sha1) == 40);
	must(strstr(c.chain, "\n\n") == NULL);
	must(strchr(c.chain, ';') == NULL && strchr(c.chain, '\\') == NULL);
	must(cert_parse(&again, c.chain, strlen(c.chain), &e) == 0);
	must(strcmp(again.chain, c.chain) == 0);
	must(strcmp(again.sha1, c.sha1) == 0);
	must(again.not_after == c.not_after);
	/* The chain alone is no key: the check says so, whatever is in it. */
	must(cert_check(&c, c.chain, "a.test", c.not_before, &e) == -1);
	/* Whatever else stands in the input may be the key. */
	cert_check(&c, pem, "certfleet.invalid", c.not_before, &e);
	cert_clear(&again);
	cert_clear(&c);
	free(pem);
	return 0;
}
