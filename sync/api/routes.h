/*
 * The routes: which function answers which method and path, and who may ask.
 * tests/unit/test_api_openapi.c holds them against sync/api/openapi.json.
 */
#ifndef SYNC_API_ROUTES_H
#define SYNC_API_ROUTES_H

#include <stddef.h>

#include <event2/http.h>

#include "sync/api/request.h"

/* What a route is about; the first: what nobody has thought of is guarded. */
enum route_scope {
	SCOPE_FLEET = 0, /* everybody's: not for tokens of some apps */
	SCOPE_APP,       /* of the app that is the path's first parameter */
	SCOPE_OWN,       /* its function shows only what the token may see */
};

struct route {
	enum evhttp_cmd_type method;
	const char *pattern;
	request_fn *fn;
	enum token_role role; /* the least that may ask */
	enum route_scope scope;
	size_t body_max; /* bytes; 0: ROUTE_BODY_MAX */
};

#define ROUTE_BODY_MAX 131072
#define ROUTE_BODY_LARGE (1024 * 1024) /* of a list of names */

extern const struct route routes[];
extern const size_t nroutes;

/*
 * The route for a method and a path, whose parameters go into param.  NULL:
 * there is none; allow then names the methods that the path has, "" when it is
 * no path of ours.
 */
#define ROUTE_ALLOW_MAX 64
const struct route *route_find(const struct target *, enum evhttp_cmd_type,
    const char *param[static TARGET_PARAMS],
    char allow[static ROUTE_ALLOW_MAX]);

const char *route_method(enum evhttp_cmd_type); /* "GET", "?" */

#endif
