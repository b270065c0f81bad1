#include "sync/checked.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define KEPT \
	128 /* as many as may be between the leader's look and the node's */

static uint8_t kept[KEPT][CHECKED_LEN];
static unsigned int nkept, next;

/* Each part with its NUL, so that none runs into the next. */
void
checked_digest(uint8_t out[static CHECKED_LEN], const char *chain,
    const char *key_pem, const char *name)
{
	const char *part[] = { chain, key_pem, name };
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	if (md == NULL || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		if (EVP_DigestUpdate(md, part[i], strlen(part[i]) + 1) != 1)
			abort();
	if (EVP_DigestFinal_ex(md, out, NULL) != 1)
		abort();
	EVP_MD_CTX_free(md);
}

bool
checked_before(const uint8_t digest[static CHECKED_LEN])
{
	for (unsigned int i = 0; i < nkept; i++)
		if (memcmp(kept[i], digest, CHECKED_LEN) == 0)
			return true;
	return false;
}

void
checked_remember(const uint8_t digest[static CHECKED_LEN])
{
	memcpy(kept[next], digest, CHECKED_LEN);
	next = (next + 1) % KEPT;
	if (nkept < KEPT)
		nkept++;
}
