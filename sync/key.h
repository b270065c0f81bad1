/*
 * Private keys of certificates: which kinds there are, and how one is made, read
 * and written.
 *
 * An ECDSA key takes microseconds; an RSA key takes long enough to stop a
 * loop, so those are made by sync/keymaker.h.
 */
#ifndef SYNC_KEY_H
#define SYNC_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

enum key_type {
	KEY_ECDSA_P256 = 0,
	KEY_ECDSA_P384,
	KEY_RSA_2048,
	KEY_RSA_3072,
	KEY_RSA_4096,
	/* must stay last */
	KEY_TYPES
};

/* In the settings: two certificates, KEY_ECDSA_P256 and KEY_RSA_2048. */
#define KEY_DUAL "dual"

/* By its name in the settings ("ecdsa-p256"); -1 when there is none. */
int key_type_parse(const char *name);
bool key_type_slow(enum key_type);

/* Of a key as PEM. */
bool key_is_rsa(const char *pem);

/* A new key, PEM (PKCS #8); the caller wipes and frees it. */
char *key_new(enum key_type);

/*
 * The public point of a P-256 key in the PEM that key_write() writes, and then
 * true; false: it is another key, or in another form.
 */
#define KEY_P256_POINT 65
bool key_p256_point(const char *pem, uint8_t point[static KEY_P256_POINT]);

/* A key as PEM; the caller wipes and frees it. */
struct evp_pkey_st;
char *key_write(struct evp_pkey_st *);

/* A key from PEM without a pass phrase, ERR_BUG: it is none; caller frees it. */
struct evp_pkey_st *key_read(const char *pem, struct err *);

/* For OpenSSL: asking for a pass phrase would stop the program. */
int key_no_passphrase(char *buf, int size, int writing, void *arg);

#endif
