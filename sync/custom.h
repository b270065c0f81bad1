/*
 * An owner's own certificate: what comes with an upload, checked and put in
 * order.
 *
 * Any CA will do, also a private one or none at all.  Refused is what HAProxy
 * or browsers would refuse: the sentences say what is wrong and how to get it
 * right.  Pure: no I/O, the time is passed in.
 *
 *	order      the leaf is the certificate that the key matches; the others
 *	           are brought behind it, each behind the one that it signed
 *	complete   a leaf alone is refused when it says where its issuer's
 *	           certificate is (RFC 5280 section 4.2.2.1): that is how public
 *	           CAs issue, and clients do not fetch it; else it is taken, with
 *	           a note
 */
#ifndef SYNC_CUSTOM_H
#define SYNC_CUSTOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sync/cert.h"

struct custom {
	struct cert cert;
	char *key_pem;     /* written anew; wiped by custom_clear() */
	char subject[256]; /* "/C=FR/CN=www.example.com" */
	char key[64];      /* "EC private key - 256 bits" */
	char note[256];    /* what its owner should know, or "" */
	bool self_signed;
};
void custom_clear(struct custom *);

/* What an upload is checked against. */
struct custom_rules {
	const char *name; /* to be covered; NULL: any */
	int bufsize;      /* HAProxy's tune.bufsize */
	int64_t now_ms;
};

/* Called for each thing that is wrong; field is "tlscert" or "tlskey". */
typedef void custom_fault_fn(
    void *arg, const char *field, const char *sentence);

/*
 * Read an upload; returns 0, or -1 after at least one fault.  The caller
 * clears the result in both cases.
 */
int custom_read(struct custom *, const char *cert_pem, const char *key_pem,
    const struct custom_rules *, custom_fault_fn *, void *arg);

#endif
