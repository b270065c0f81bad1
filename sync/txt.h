/*
 * The journal of TXT records that we made: what is needed to remove one, by
 * whoever leads then.  JSON in Redis, for people, too; what is secret in it, the
 * access of its provider, is sealed.
 *
 * Pure.
 */
#ifndef SYNC_TXT_H
#define SYNC_TXT_H

#include <stdint.h>

#include "common/domain.h"
#include "common/err.h"

#define TXT_VALUE_MAX 64
#define TXT_KEY_MAX (DOMAIN_NAME_MAX + TXT_VALUE_MAX)

struct txt {
	char domain[DOMAIN_NAME_MAX]; /* for whose order it was made */
	char app[DOMAIN_APP_MAX];     /* whose provider made it */
	char provider[16];
	char fqdn[DOMAIN_NAME_MAX]; /* behind the CNAMEs */
	char value[TXT_VALUE_MAX];
	char zone[DOMAIN_NAME_MAX], zone_id[256], record_id[256]; /* or "" */
	int64_t at;                                               /* wall ms */
	char *sealed; /* the variables that it was made with, or NULL; owned */
};

/* The field of the journal: the record's name and value. */
void txt_key(const struct txt *, char key[static TXT_KEY_MAX]);

/* Its JSON; the caller frees it. */
char *txt_write(const struct txt *);

/* Read it back; ERR_BUG when it is not ours.  txt_clear() in any case. */
int txt_read(struct txt *, const char *json, struct err *);
void txt_clear(struct txt *);

#endif
