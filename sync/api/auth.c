#include "sync/api/auth.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"
#include "sync/api/browser.h"
#include "sync/api/pass.h"
#include "sync/api/quota.h"
#include "sync/api/routes.h"
#include "sync/store_token.h"

#define GROUPS_MAX 256
#define GROUP_BUFFER 16384
#define AUDIT_PAIRS 6
#define TARGET_SHOWN 300

void
auth_refuse(struct request *q, const char *sentence)
{
	evhttp_add_header(evhttp_request_get_output_headers(q->http),
	    "WWW-Authenticate", "Bearer realm=\"certfleet\"");
	request_error(q, 401, "unauthorized", "%s", sentence);
}

bool
auth_sees(const struct request *q, const char *app)
{
	return !q->by_token || token_owns(&q->token, app);
}

bool
auth_limited(const struct request *q)
{
	return q->by_token && q->token.apps != NULL;
}

void
auth_refuse_limited(struct request *q)
{
	request_error(q, 403, "forbidden",
	    "this token is for some apps, and this is about all");
}

/* What is not the token's is as if it were not there. */
void
auth_permit(struct request *q)
{
	const struct route *r = q->route;

	if (r->scope == SCOPE_APP && !auth_sees(q, q->param[0]))
		request_not_found(
		    q, q->param[1] != NULL ? "domain" : "app", NULL);
	else if (r->scope == SCOPE_FLEET && auth_limited(q))
		auth_refuse_limited(q);
	else if (q->by_token && !token_may(&q->token, r->role))
		request_error(q, 403, "forbidden",
		    "this token's role is %s; it takes %s",
		    token_role_name(q->token.role), token_role_name(r->role));
	else
		q->then(q);
}

/* --- by the socket ----------------------------------------------------------- */

/* Is the peer in the group that the socket was given to? */
static bool
in_group(int fd, const struct ucred *peer, const char *name)
{
	struct group entry, *found = NULL;
	char *text = xmalloc(GROUP_BUFFER);
	gid_t gid, list[GROUPS_MAX];
	socklen_t len = sizeof(list);

	getgrnam_r(name, &entry, text, GROUP_BUFFER, &found);
	gid = found != NULL ? entry.gr_gid : (gid_t)-1;
	free(text);
	if (found == NULL)
		return false;
	if (peer->gid == gid)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &len) == -1)
		return false;
	for (size_t i = 0; i < len / sizeof(list[0]); i++)
		if (list[i] == gid)
			return true;
	return false;
}

/* The socket's mode says the same, as long as nobody changes it. */
static void
check_peer(struct request *q)
{
	const char *group = q->api->conf->api.socket_group;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = request_fd(q);

	if (fd == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
		request_error(q, 403, "forbidden", "who asks is not known");
		return;
	}
	snprintf(q->who, sizeof(q->who), "uid %ld", (long)peer.uid);
	if (peer.uid == 0 || peer.uid == geteuid() ||
	    (group[0] != '\0' && in_group(fd, &peer, group)))
		auth_permit(q);
	else
		request_error(q, 403, "forbidden",
		    "user %ld is neither certfleet-sync's nor in "
		    "api.socket_group",
		    (long)peer.uid);
}

/* --- by a token -------------------------------------------------------------- */

static void
got_record(void *arg, const char *record, const struct err *e)
{
	struct request *q = arg;
	int64_t now = loop_wall_ms(), wait;
	char id[TOKEN_ID_SIZE], seconds[24];
	struct err bad;

	if (e != NULL) {
		request_store_error(q, e);
	} else if (record == NULL) {
		auth_refuse(q, "there is no such token");
	} else if (token_unpack(&q->token, q->hash, record, &bad) == -1) {
		request_store_error(q, &bad);
	} else if (token_expired(&q->token, now)) {
		auth_refuse(q, "the token has expired");
	} else {
		token_id(&q->token, id);
		snprintf(
		    q->who, sizeof(q->who), "token %s %s", id, q->token.name);
		q->by_token = true;
		wait = quota_take(q->api->quota, id, now);
		if (wait == 0) {
			q->known(q);
			return;
		}
		snprintf(seconds, sizeof(seconds), "%lld",
		    (long long)(wait + 999) / 1000);
		evhttp_add_header(evhttp_request_get_output_headers(q->http),
		    "Retry-After", seconds);
		request_error(q, 429, "rate_limit_exceeded",
		    "a token has %d requests a minute; the next one in %s s",
		    q->api->conf->api.requests_per_minute, seconds);
	}
}

void
auth_token(struct request *q, const char *hash, request_fn *then)
{
	memcpy(q->hash, hash, sizeof(q->hash));
	q->known = then;
	store_token(q->api->store, q->hash, got_record, q);
}

const char *
auth_bearer(const struct request *q)
{
	static const char scheme[] = "Bearer ";
	const char *header = request_header(q, "Authorization");

	if (header == NULL ||
	    strncasecmp(header, scheme, sizeof(scheme) - 1) != 0)
		return NULL;
	header += sizeof(scheme) - 1;
	return header + strspn(header, " ");
}

static void
got_key(void *arg, const uint8_t *key, const struct err *e)
{
	struct request *q = arg;
	const char *pass = auth_bearer(q);
	char hash[TOKEN_HASH_SIZE];
	struct err bad;

	if (e != NULL)
		request_store_error(q, e);
	else if (pass_read(key, pass, loop_wall_ms(), hash, &bad) == -1)
		auth_refuse(q, bad.text);
	else
		auth_token(q, hash, auth_permit);
}

void
auth_check(struct request *q, request_fn *then)
{
	const char *header = request_header(q, "Authorization");
	const char *text = auth_bearer(q);
	char hash[TOKEN_HASH_SIZE];

	q->then = then;
	if (q->route->role == TOKEN_NONE) {
		then(q);
	} else if (browser_comes(q)) {
		browser_check(q, then);
	} else if (header == NULL && !q->tcp) {
		check_peer(q);
	} else if (text == NULL) {
		auth_refuse(q, "a token is needed, as in \"Authorization: "
			       "Bearer cft_...\"; certfleet token create makes "
			       "one");
	} else if (token_is(text)) {
		token_hash(text, hash);
		auth_token(q, hash, auth_permit);
	} else {
		store_token_key(q->api->store, got_key, q);
	}
}

/* --- who did what ------------------------------------------------------------ */

void
auth_audit(const struct request *q, int status)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(q->http);
	const char *uri = evhttp_request_get_uri(q->http);
	char target[TARGET_SHOWN], answer[16];
	const char *field[2 * AUDIT_PAIRS];
	size_t n = 0, len;

	if (q->route == NULL || q->route->role >= TOKEN_READ ||
	    q->who[0] == '\0' || method == EVHTTP_REQ_GET ||
	    method == EVHTTP_REQ_HEAD)
		return;
	len = uri != NULL ? strcspn(uri, "?") : 0;
	str_printable(target, sizeof(target), uri != NULL ? uri : "", len);
	snprintf(answer, sizeof(answer), "%d", status);
	field[n++] = "who";
	field[n++] = q->who;
	field[n++] = "method";
	field[n++] = route_method(method);
	field[n++] = "target";
	field[n++] = target;
	field[n++] = "answer";
	field[n++] = answer;
	field[n++] = "node";
	field[n++] = q->api->conf->node;
	/* What is added is not in the path. */
	if (q->domain.name[0] != '\0') {
		field[n++] = "name";
		field[n++] = q->domain.name;
	}
	store_audit(q->api->store, field, n / 2);
}
