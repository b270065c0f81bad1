/*
 * Where other programs keep their certificates: read only, never followed into
 * anything but what is a certificate's.
 *
 *	certbot   live/NAME/fullchain.pem, privkey.pem; renewal/NAME.conf
 *	acme.sh   NAME/ or NAME_ecc/: fullchain.cer, NAME.key, NAME.conf
 *	lego      certificates/NAME.crt, .key, .issuer.crt, .json
 *	caddy     certificates/CA/NAME/NAME.crt, .key, .json
 *	haproxy   PEM files; FILE.key and FILE.issuer beside them
 */
#ifndef SYNC_CLI_IMPORT_FIND_H
#define SYNC_CLI_IMPORT_FIND_H

#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"

#define IMPORT_FILE_MAX (48 * 1024)

/* One certificate: the files of it, and which CA it is of. */
struct found {
	char *cert, *key; /* paths; the same when both are in it */
	char *issuer;     /* a file with what comes behind it, or NULL */
	char *ca;         /* a URL of its CA, or NULL: not known */
	const char *why;  /* it cannot be taken, or NULL */
};

struct finds {
	const char *from; /* whose directory it is */
	struct found *item;
	size_t n;
};

/*
 * from is a name of above; NULL or "auto": as the directory looks.  When there
 * is none the err's type is IMPORT_NONE.
 */
#define IMPORT_NONE "NONE"
int import_find(
    struct finds *, const char *dir, const char *from, struct err *);
void import_clear(struct finds *);

/* A whole file behind what is in out. */
int import_read(const char *path, struct buf *out, struct err *);

#endif
