#include "sync/digest.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/domain.h"
#include "common/str.h"

/*
 * The exclusive or of what SHA-256 makes of each: nobody who could choose names
 * gains anything by making two nodes look alike.
 */
void
digest_toggle(struct digest *d, const char *name, const char *sha1)
{
	uint8_t one[EVP_MAX_MD_SIZE];
	char text[DOMAIN_NAME_MAX + 64];
	int len = snprintf(text, sizeof(text), "%s %s", name, sha1);

	EVP_Digest(text, (size_t)len, one, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < sizeof(d->byte); i++)
		d->byte[i] ^= one[i];
}

void
digest_text(const struct digest *d, char out[static DIGEST_TEXT_MAX])
{
	str_hex(out, d->byte, sizeof(d->byte));
}
