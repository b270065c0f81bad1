/* Where Redis is, taken apart.  Private to common/rds*.c. */
#ifndef COMMON_RDS_URL_H
#define COMMON_RDS_URL_H

#include <stdbool.h>

#include "common/err.h"

struct rds_url {
	bool is_unix, is_tls;
	char path[108]; /* as long as the kernel takes */
	char host[254];
	char port[6];
};

int rds_url_parse(struct rds_url *, const char *text, struct err *);

#endif
