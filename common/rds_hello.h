/*
 * What is said before the first command, as a dialogue: one thing to ask, one
 * way to take the reply.  Pure.  Private to common/rds*.c.
 *
 *	HELLO -> SELECT -> ROLE -> LIBRARY -> LOAD -> DONE
 *
 * SELECT only for a database other than 0; LIBRARY only when asked for, LOAD
 * when the server's is missing or older.
 */
#ifndef COMMON_RDS_HELLO_H
#define COMMON_RDS_HELLO_H

#include "common/err.h"
#include "common/rds.h"

enum rds_hello_step {
	RDS_HELLO_HELLO = 0,
	RDS_HELLO_SELECT,
	RDS_HELLO_ROLE,
	RDS_HELLO_LIBRARY,
	RDS_HELLO_LOAD,
	RDS_HELLO_DONE,
	/* must stay last */
	RDS_HELLO_STEPS
};

struct rds_hello {
	const struct rds_conf *conf;
	enum rds_hello_step step;
	int64_t found; /* version of the library there, 0: none */
};

void rds_hello_init(struct rds_hello *, const struct rds_conf *);

/* The command of this step; not when it is DONE. */
void rds_hello_ask(const struct rds_hello *, struct rds_cmd *);

/*
 * Take the reply and go on.  -1: this server is not to be used, ERR_CONFIG when
 * somebody must change that.
 */
int rds_hello_got(struct rds_hello *, const struct rds_reply *, struct err *);

#endif
