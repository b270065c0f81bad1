/*
 * OpenSSL for certificates.
 *
 * For the public key of each certificate OpenSSL 3.0 and 3.1 look through all
 * that could read any key in any form, which takes longer than all the rest
 * about it.  So there is a library context that knows only what servers'
 * certificates and their handshakes have.  It has no configuration file.
 */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

/* Ours, for all; NULL, which is OpenSSL's own, where that is as quick. */
struct ossl_lib_ctx_st *crypto_context(void);

#endif
