/*
 * Inside the API: one request being answered, and what the resources are
 * given to answer it.
 *
 * A request outlives its client: evhttp gives its own to us when the client
 * goes away, and frees it with the reply that nobody gets.
 */
#ifndef SYNC_API_REQUEST_H
#define SYNC_API_REQUEST_H

#include <sys/queue.h>

#include <event2/event.h>
#include <event2/http.h>
#include <jansson.h>

#include "common/domain.h"
#include "sync/api/api.h"
#include "sync/api/gather.h"
#include "sync/api/json.h"
#include "sync/api/target.h"
#include "sync/api/token.h"
#include "sync/custom.h"
#include "sync/store_search.h"

struct door;
struct hub;
struct import_request;
struct quota;
struct plan_request;
struct renewals;
struct variables_request;

struct request;
struct route;

/* Every resource: a function a route. */
typedef void request_fn(struct request *);

#define REQUEST_WHO_MAX (TOKEN_ID_SIZE + TOKEN_NAME_MAX + 8)

/* What is done with a domain once it is found. */
typedef void found_fn(struct request *, const struct domain *);

struct request {
	struct api *api;
	struct evhttp_request *http;
	struct target target;
	const char *param[TARGET_PARAMS]; /* into target */
	json_t *body;              /* an object, for POST, PATCH and PUT */
	const struct route *route; /* NULL: none of ours */

	struct door *door;

	/* Who asks: auth.c. */
	bool tcp;      /* not by the socket */
	bool by_token; /* token says what may be seen and done */
	struct token token;
	char hash[TOKEN_HASH_SIZE]; /* of the token that is looked up */
	int64_t session_until;      /* of a browser; 0: it has none */
	char who[REQUEST_WHO_MAX];  /* "uid 0", "token ID NAME"; "" unknown */
	request_fn *known, *then;

	/* A resource's own, while it waits for the store. */
	struct domain domain; /* being added; cleared with the request */
	char name[DOMAIN_NAME_MAX];
	found_fn *found;
	json_t *reply;               /* what is known so far */
	int64_t total;               /* domains that were counted: own.c */
	struct domain_change change; /* borrows from body */
	struct custom custom;        /* that is uploaded */
	int step, status;            /* change.c, renew.c, rollback.c */
	bool custom_serves;          /* rollback.c */
	int64_t free_at;             /* renew.c; in leader.c it is now */
	bool looks;                  /* look.c: a check is under way */
	struct gens gens;            /* nodes.c */
	uint64_t looking;            /* ca.c: a request */
	struct gather *gather;
	struct buf *text;                    /* metrics.c */
	struct plan_request *plan;           /* plan.c */
	struct import_request *import;       /* import.c */
	struct variables_request *variables; /* variables.c */
	LIST_ENTRY(request) entry;
};

struct api {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	const struct rds_conf *rds_conf;
	api_state_fn *state;
	void *state_arg;
	struct quota *quota; /* of the tokens */
	struct hub *hub;     /* follow.c */
	struct checks *checks;
	const struct seal_ring *ring;
	int looks;               /* of look.c, under way */
	struct witness *witness; /* NULL: nobody knows */
	struct http *ca_http[2]; /* of ca.c; NULL until one is asked */
	struct dialogues *dialogues;
	struct authorities *authorities; /* NULL until it is needed */
	struct renewals *renewals;       /* renewals.c: what was told last */
	LIST_HEAD(, request) requests;
};

/* Answer and free the request.  Everything but 204 carries the JSON. */
void request_reply(struct request *, int status, json_t *stolen);

/* 200 with a text that is no JSON of ours. */
void request_text(
    struct request *, const char *content_type, const char *text, size_t len);

/* 200 with a file that a browser may keep while its ETag is the same, or 304. */
void request_file(struct request *, const char *content_type, const char *bytes,
    size_t len, const char *etag);

/* The same with { "error": sentence }; code may be NULL. */
void request_error(struct request *, int status, const char *code,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * What store_get() told.  False when that is answered already, and the request
 * gone: by an error or, the same for "not there" and "not yours", by 404.
 */
bool request_found(struct request *, const struct domain *, const struct err *);

/* store_get()'s answer is ours: 202 with the domain as our own routes show it. */
void request_accepted(void *request, const struct domain *, const struct err *);

/* 404 as Scalingo says it; detail may be NULL. */
void request_not_found(
    struct request *, const char *resource, const char *detail);

/* 422 with { "errors": ... }. */
void request_unprocessable(struct request *, json_t *stolen_errors);

/* What the store could not do. */
void request_store_error(struct request *, const struct err *);

/* Free a request that has been answered otherwise. */
void request_free(struct request *);

/* What the client said in that header, or NULL. */
const char *request_header(const struct request *, const char *name);

/* A domain in the view that was asked for: Scalingo's, or ?view=spec. */
json_t *request_domain(const struct request *, const struct domain *);

/* Headers that every answer has; cache is "no-store" but for files. */
void request_headers(
    struct request *, const char *content_type, const char *cache);

/* Its connection, -1 when that is gone. */
int request_fd(const struct request *);

request_fn domains_list, domains_add, domains_show, domains_change,
    domains_replace, domains_remove;
request_fn variables_list, variables_add, variables_change, variables_remove;
request_fn limits_show, plan_make, import_make;
request_fn own_domains_list, own_domains_show, own_domains_revoke;
request_fn own_domains_renew, look_show, leader_show, config_show;
request_fn own_domains_rollback;
request_fn ca_show, kek_show, kek_reseal;
request_fn account_rollover;
request_fn session_exchange, session_regions, session_self;
request_fn login_show, login_begin, login_end;
request_fn dashboard_page, dashboard_file, renewals_show;
request_fn tokens_add, tokens_list, tokens_remove, audit_list;
request_fn nodes_list, events_list, status_show, health_show, ready_show;
request_fn openapi_show, metrics_show;

/*
 * change.c: check what q->change asks of the domain of that name (complaints go
 * into errors), then carry it out on q->domain and answer with status.
 */
void change_check(struct request *, const char *name, json_t *errors);
void change_begin(struct request *, int status);

void look_forget(struct request *);
void ca_forget(struct request *);
void renewals_free(struct renewals *);
void plan_request_free(struct plan_request *);
void import_request_free(struct import_request *);
void variables_request_free(struct variables_request *);

/* find.c: a page of own_domains_list() by what is searched for. */
void find_domains(struct request *, const char *app, int status, size_t limit);

/* The next part of all that it may see, in that status (-1: any). */
void find_part(
    struct request *, int status, const char *after, store_found_fn *);

/* follow.c: those who follow the events. */
struct hub *hub_new(struct api *);
void hub_free(struct hub *);
void hub_follow(struct hub *, struct request *, int n);

#endif
