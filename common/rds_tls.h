/* TLS to Redis: the server proves its name.  Private to common/rds*.c. */
#ifndef COMMON_RDS_TLS_H
#define COMMON_RDS_TLS_H

#include <openssl/types.h>

#include "common/err.h"
#include "common/rds.h"

/* What all connections share; NULL with ERR_CONFIG when a file is no good. */
SSL_CTX *rds_tls_context(const struct rds_conf *, struct err *);

/* A connection over fd that accepts only a certificate for name. */
SSL *rds_tls_new(SSL_CTX *, const char *name, int fd, struct err *);

/*
 * Why an operation that returned rc failed.  ERR_CONFIG when it is the
 * certificate, else ERR_AGAIN.  Empties OpenSSL's queue of errors.
 */
int rds_tls_why(const SSL *, int rc, const char *name, struct err *);

#endif
