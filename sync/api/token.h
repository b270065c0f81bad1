/*
 * API tokens: who may do what.  Pure: no I/O, the time is passed in.
 */
#ifndef SYNC_API_TOKEN_H
#define SYNC_API_TOKEN_H

/* What a token may; each may also what those after it may. */
enum token_role {
	TOKEN_ADMIN = 0, /* tokens, the CA account, the fleet */
	TOKEN_OPERATE,   /* change domains */
	TOKEN_READ,
	/* must stay last */
	TOKEN_NONE /* of a route: asked without any token */
};

#endif
