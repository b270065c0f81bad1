#include "sync/api/etag.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/b64.h"

#define TAG_BYTES 20

static int
digest(const char *bytes, size_t len, void *arg)
{
	return EVP_DigestUpdate(arg, bytes, len) == 1 ? 0 : -1;
}

static void
put(const uint8_t *hash, char out[static ETAG_SIZE])
{
	char text[B64URL_SIZE(TAG_BYTES)];

	b64url_encode(text, hash, TAG_BYTES);
	snprintf(out, ETAG_SIZE, "\"%s\"", text);
}

void
etag_bytes(const char *bytes, size_t len, char out[static ETAG_SIZE])
{
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (EVP_Digest(bytes, len, hash, NULL, EVP_sha256(), NULL) != 1)
		abort();
	put(hash, out);
}

void
etag_make(const json_t *o, char out[static ETAG_SIZE])
{
	EVP_MD_CTX *sum = EVP_MD_CTX_new();
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (sum == NULL || EVP_DigestInit(sum, EVP_sha256()) != 1 ||
	    json_dump_callback(o, digest, sum,
		JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY) == -1 ||
	    EVP_DigestFinal(sum, hash, NULL) != 1)
		abort();
	EVP_MD_CTX_free(sum);
	put(hash, out);
}

bool
etag_named(const char *header, const char *etag, bool weak)
{
	size_t len = strlen(etag);

	for (const char *p = header; *p != '\0';) {
		bool is_weak;

		p += strspn(p, " \t,");
		if (*p == '*')
			return true;
		is_weak = strncmp(p, "W/", 2) == 0;
		if (is_weak)
			p += 2;
		if ((weak || !is_weak) && strncmp(p, etag, len) == 0)
			return true;
		/* To the end of this tag: a comma may stand in quotes. */
		if (*p == '"')
			p += 1 + strcspn(p + 1, "\"");
		p += strcspn(p, ",");
	}
	return false;
}
