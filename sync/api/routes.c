#include "sync/api/routes.h"

#include <stdio.h>

#define GET EVHTTP_REQ_GET
#define POST EVHTTP_REQ_POST
#define PUT EVHTTP_REQ_PUT
#define PATCH EVHTTP_REQ_PATCH
#define DELETE EVHTTP_REQ_DELETE

#define READ TOKEN_READ
#define OPERATE TOKEN_OPERATE
#define ADMIN TOKEN_ADMIN
#define ANYBODY TOKEN_NONE

#define FLEET SCOPE_FLEET
#define APP SCOPE_APP
#define OWN SCOPE_OWN

/* clang-format off */
const struct route routes[] = {
	/* Scalingo's own dialect. */
	{ POST, "/v1/tokens/exchange", session_exchange, ANYBODY, OWN, 0 },
	{ GET, "/v1/regions", session_regions, READ, OWN, 0 },
	{ GET, "/v1/users/self", session_self, READ, OWN, 0 },
	{ GET, "/v1/apps/:app/domains", domains_list, READ, APP, 0 },
	{ POST, "/v1/apps/:app/domains", domains_add, OPERATE, APP, 0 },
	{ GET, "/v1/apps/:app/domains/:id", domains_show, READ, APP, 0 },
	{ PATCH, "/v1/apps/:app/domains/:id", domains_change, OPERATE, APP, 0 },
	{ PUT, "/v1/apps/:app/domains/:id", domains_replace, OPERATE, APP, 0 },
	{ DELETE, "/v1/apps/:app/domains/:id", domains_remove, OPERATE, APP, 0 },
	{ GET, "/v1/apps/:app/variables", variables_list, READ, APP, 0 },
	{ POST, "/v1/apps/:app/variables", variables_add, OPERATE, APP, 0 },
	{ PUT, "/v1/apps/:app/variables", variables_change, OPERATE, APP, 0 },
	{ DELETE, "/v1/apps/:app/variables/:id", variables_remove, OPERATE, APP, 0 },

	/* Ours. */
	{ GET, "/api/v1/domains", own_domains_list, READ, OWN, 0 },
	{ GET, "/api/v1/domains/:name", own_domains_show, READ, OWN, 0 },
	{ POST, "/api/v1/domains/:name/revoke", own_domains_revoke, OPERATE, OWN, 0 },
	{ POST, "/api/v1/domains/:name/renew", own_domains_renew, OPERATE, OWN, 0 },
	{ GET, "/api/v1/check/:name", look_show, READ, OWN, 0 },
	{ GET, "/api/v1/leader", leader_show, READ, FLEET, 0 },
	{ GET, "/api/v1/ca", ca_show, ADMIN, FLEET, 0 },
	{ GET, "/api/v1/kek", kek_show, ADMIN, FLEET, 0 },
	{ POST, "/api/v1/kek/reseal", kek_reseal, ADMIN, FLEET, 0 },
	{ GET, "/api/v1/config", config_show, ADMIN, FLEET, 0 },
	{ POST, "/api/v1/apps/:app/import", import_make, OPERATE, APP, 0 },
	{ POST, "/api/v1/domains/:name/rollback", own_domains_rollback, OPERATE, OWN, 0 },
	{ GET, "/api/v1/limits", limits_show, READ, FLEET, 0 },
	{ POST, "/api/v1/plan", plan_make, READ, FLEET, ROUTE_BODY_LARGE },
	{ POST, "/api/v1/account/rollover", account_rollover, ADMIN, FLEET, 0 },
	{ GET, "/api/v1/tokens", tokens_list, ADMIN, FLEET, 0 },
	{ POST, "/api/v1/tokens", tokens_add, ADMIN, FLEET, 0 },
	{ DELETE, "/api/v1/tokens/:id", tokens_remove, ADMIN, FLEET, 0 },
	{ GET, "/api/v1/audit", audit_list, ADMIN, FLEET, 0 },
	{ GET, "/api/v1/nodes", nodes_list, READ, FLEET, 0 },
	{ GET, "/api/v1/events", events_list, READ, OWN, 0 },
	{ GET, "/api/v1/status", status_show, READ, FLEET, 0 },
	{ GET, "/api/v1/renewals", renewals_show, READ, FLEET, 0 },
	{ GET, "/api/v1/session", login_show, ANYBODY, OWN, 0 },
	{ POST, "/api/v1/session", login_begin, ANYBODY, OWN, 0 },
	{ DELETE, "/api/v1/session", login_end, ANYBODY, OWN, 0 },
	{ GET, "/", dashboard_page, ANYBODY, OWN, 0 },
	{ GET, "/dashboard/:file", dashboard_file, ANYBODY, OWN, 0 },
	{ GET, "/api/v1/openapi.json", openapi_show, ANYBODY, OWN, 0 },
	{ GET, "/metrics", metrics_show, ANYBODY, OWN, 0 },
	{ GET, "/healthz", health_show, ANYBODY, OWN, 0 },
	{ GET, "/readyz", ready_show, ANYBODY, OWN, 0 },
};
/* clang-format on */
const size_t nroutes = sizeof(routes) / sizeof(routes[0]);

const char *
route_method(enum evhttp_cmd_type method)
{
	switch (method) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	case EVHTTP_REQ_PATCH:
		return "PATCH";
	default: /* libevent's enum, not ours */
		return "?";
	}
}

const struct route *
route_find(const struct target *t, enum evhttp_cmd_type method,
    const char *param[static TARGET_PARAMS], char allow[static ROUTE_ALLOW_MAX])
{
	size_t at = 0;

	allow[0] = '\0';
	if (method == EVHTTP_REQ_HEAD)
		method = EVHTTP_REQ_GET;
	for (size_t i = 0; i < nroutes; i++) {
		if (!target_match(t, routes[i].pattern, param))
			continue;
		if (routes[i].method == method)
			return &routes[i];
		at += (size_t)snprintf(allow + at, ROUTE_ALLOW_MAX - at, "%s%s",
		    at > 0 ? ", " : "", route_method(routes[i].method));
	}
	return NULL;
}
