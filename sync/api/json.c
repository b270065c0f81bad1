#include "sync/api/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"

#define SENTENCE_MAX 1024

json_t *
json_text(const char *s)
{
	json_t *text = *s != '\0' ? json_string(s) : json_null();
	size_t size;
	char *safe;

	if (text != NULL)
		return text;
	size = strlen(s) * 4 + 1;
	safe = xmalloc(size);
	text = json_string(str_printable(safe, size, s, strlen(s)));
	free(safe);
	return text;
}

json_t *
json_time(int64_t ms)
{
	char text[STR_TIME_MAX];

	return ms > 0 ? json_string(str_time(text, ms)) : json_null();
}

/* The fields that are ours, into an object that is there. */
static void
put_own(json_t *o, const struct domain *d)
{
	json_object_set_new(
	    o, "status", json_string(domain_status_name(d->status)));
	json_object_set_new(
	    o, "label", json_string(domain_status_label(d->status)));
	json_object_set_new(o, "status_at", json_time(d->status_at));
	json_object_set_new(o, "reason", json_text(d->reason));
	json_object_set_new(o, "action", json_text(d->action));
	json_object_set_new(o, "next_at", json_time(d->next_at));
	json_object_set_new(o, "last_error", json_text(d->last_error));
	json_object_set_new(o, "attempts", json_integer(d->attempts));
	json_object_set_new(o, "serial", json_text(d->serial));
	json_object_set_new(o, "sha1", json_text(d->sha1));
	json_object_set_new(o, "issuer", json_text(d->issuer));
	json_object_set_new(o, "not_before", json_time(d->not_before));
	json_object_set_new(o, "not_after", json_time(d->not_after));
	json_object_set_new(o, "renew_at", json_time(d->renew_at));
	json_object_set_new(o, "version", json_integer(d->version));
	json_object_set_new(
	    o, "rate_limited_until", json_time(d->rate_limited_until));
}

/* Scalingo has five words where we have six statuses and a history. */
static const char *
letsencrypt_status(const struct domain *d)
{
	switch (d->status) {
	case DOMAIN_PENDING_DNS:
		return "pending_dns";
	case DOMAIN_CREATING:
		return d->attempts > 0 ? "error" : "new";
	case DOMAIN_IN_USE:
	case DOMAIN_NOT_USED:
		return "created";
	case DOMAIN_ACTION_REQUIRED:
		return "dns_required";
	case DOMAIN_DISABLED:
		return d->version > 0 ? "created" : "new";
	case DOMAIN_STATUSES:
		break;
	}
	return "error";
}

json_t *
json_domain(const struct domain *d)
{
	char id[DOMAIN_ID_MAX];
	json_t *own = json_object(), *o;

	domain_id(d->name, id);
	put_own(own, d);
	o = json_pack("{s:s, s:o, s:o, s:o, s:b, s:s, s:o, s:b, s:b, s:b, s:s,"
		      " s:n, s:n, s:{}, s:n}",
	    "id", id, "app_id", json_text(d->app), "name", json_text(d->name),
	    "created_at", json_time(d->created_at), "ssl", 0, "ssl_status",
	    "pending", "validity", json_time(d->not_after), "canonical", 0,
	    "letsencrypt_enabled", (int)d->letsencrypt, "letsencrypt",
	    (int)(d->status == DOMAIN_IN_USE), "letsencrypt_status",
	    letsencrypt_status(d), "acme_dns_fqdn", "acme_dns_value",
	    "acme_dns_error", "acme_challenge_error");
	json_object_set_new(o, "certfleet", own);
	return o;
}

json_t *
json_own_domain(const struct domain *d)
{
	char id[DOMAIN_ID_MAX];
	json_t *o;

	domain_id(d->name, id);
	o = json_pack("{s:o, s:o, s:s, s:o, s:b}", "name", json_text(d->name),
	    "app", json_text(d->app), "id", id, "created_at",
	    json_time(d->created_at), "letsencrypt_enabled",
	    (int)d->letsencrypt);
	put_own(o, d);
	return o;
}

/* What is said of a domain whose record does not say it. */
static const char *
usual_reason(enum domain_status status)
{
	switch (status) {
	case DOMAIN_PENDING_DNS:
		return "its DNS has not been seen to point here yet";
	case DOMAIN_CREATING:
		return "a certificate is on its way";
	case DOMAIN_IN_USE:
		return "its certificate is served";
	case DOMAIN_NOT_USED:
		return "a custom certificate serves it";
	case DOMAIN_ACTION_REQUIRED:
		return "somebody has to do something";
	case DOMAIN_DISABLED:
		return "Let's Encrypt is switched off for it";
	case DOMAIN_STATUSES:
		break;
	}
	return "";
}

static int64_t
next_at(const struct domain *d)
{
	switch (d->status) {
	case DOMAIN_IN_USE:
		return d->renew_at > 0 ? d->renew_at : d->next_at;
	case DOMAIN_NOT_USED:
	case DOMAIN_DISABLED:
		return 0;
	case DOMAIN_PENDING_DNS:
	case DOMAIN_CREATING:
	case DOMAIN_ACTION_REQUIRED:
	case DOMAIN_STATUSES:
		break;
	}
	return d->next_at;
}

/* What happens next, with the time at the end unless it is now. */
static const char *
next_sentence(const struct domain *d, bool ahead)
{
	switch (d->status) {
	case DOMAIN_PENDING_DNS:
		return ahead ? "checked again at" : "DNS is being checked";
	case DOMAIN_CREATING:
		return ahead ? "tried again at"
		             : "a certificate is being ordered";
	case DOMAIN_IN_USE:
		return ahead ? "renewed from" : "renewal is due";
	case DOMAIN_ACTION_REQUIRED:
		return ahead ? "checked again at" : "being checked";
	case DOMAIN_NOT_USED:
	case DOMAIN_DISABLED:
	case DOMAIN_STATUSES:
		break;
	}
	return "nothing happens by itself";
}

json_t *
json_why(const struct domain *d, int64_t now)
{
	const char *label = domain_status_label(d->status);
	const char *reason =
	    d->reason[0] != '\0' ? d->reason : usual_reason(d->status);
	char next[128], at[STR_TIME_MAX], sentence[SENTENCE_MAX];
	int64_t when = next_at(d);
	bool ahead = when > now;
	size_t n;

	snprintf(next, sizeof(next), "%s%s%s", next_sentence(d, ahead),
	    ahead ? " " : "", ahead ? str_time(at, when) : "");
	n = (size_t)snprintf(
	    sentence, sizeof(sentence), "%s: %s", label, reason);
	if (d->status == DOMAIN_CREATING && d->rate_limited_until > now)
		n += (size_t)snprintf(sentence + n, sizeof(sentence) - n,
		    "; the CA's limit ends at %s",
		    str_time(at, d->rate_limited_until));
	snprintf(sentence + n, sizeof(sentence) - n, "; %s", next);
	return json_pack("{s:s, s:o, s:s, s:o, s:o}", "state", label, "reason",
	    json_text(reason), "next", next, "next_at",
	    json_time(ahead ? when : 0), "sentence", json_text(sentence));
}

/* The node's error for this name in "name=why; name=why", or "". */
static const char *
node_error(
    const struct store_node *node, const char *name, char *out, size_t size)
{
	const char *p = node->errors;
	size_t len = strlen(name), end;

	out[0] = '\0';
	while (*p != '\0') {
		end = strcspn(p, ";");
		if (end > len && p[len] == '=' && memcmp(p, name, len) == 0) {
			snprintf(out, size, "%.*s", (int)(end - len - 1),
			    p + len + 1);
			break;
		}
		p += end;
		p += strspn(p, "; ");
	}
	return out;
}

static json_t *
serving(const struct domain *d, const struct store_node *node, bool failed,
    int partitions)
{
	if (d->version == 0 || failed)
		return json_false();
	/* Generations are summed over partitions: with one they compare. */
	if (partitions == 1)
		return json_boolean(node->gen >= d->gen);
	return d->status == DOMAIN_IN_USE ? json_true() : json_null();
}

json_t *
json_serving(const struct domain *d, const struct store_node *node, size_t n,
    int partitions)
{
	json_t *list = json_array();
	char error[sizeof(node->errors)];

	for (size_t i = 0; i < n; i++) {
		node_error(&node[i], d->name, error, sizeof(error));
		json_array_append_new(list,
		    json_pack("{s:o, s:b, s:o, s:o}", "id",
			json_text(node[i].id), "live", (int)node[i].live,
			"serving",
			serving(d, &node[i], error[0] != '\0', partitions),
			"error", json_text(error)));
	}
	return list;
}

/* "a, b" as a list. */
static json_t *
words(const char *s)
{
	json_t *list = json_array();
	char word[64];

	while (*s != '\0') {
		size_t len = strcspn(s, ", ");

		if (len > 0 && len < sizeof(word)) {
			memcpy(word, s, len);
			word[len] = '\0';
			json_array_append_new(list, json_text(word));
		}
		s += len;
		s += strspn(s, ", ");
	}
	return list;
}

/* "name=why; name=why" as a list. */
static json_t *
node_errors(const char *p)
{
	json_t *list = json_array();
	char one[sizeof(((struct store_node *)NULL)->errors)], *why;

	while (*p != '\0') {
		size_t len = strcspn(p, ";");

		snprintf(one, sizeof(one), "%.*s", (int)len, p);
		why = strchr(one, '=');
		if (why != NULL)
			*why++ = '\0';
		if (len > 0)
			json_array_append_new(list,
			    json_pack("{s:o, s:o}", "name", json_text(one),
				"error", json_text(why != NULL ? why : "")));
		p += len;
		p += strspn(p, "; ");
	}
	return list;
}

json_t *
json_node(const struct store_node *n)
{
	return json_pack("{s:o, s:b, s:b, s:b, s:o, s:I, s:o, s:o, s:o, s:I, "
			 "s:I, s:I, s:o}",
	    "id", json_text(n->id), "live", (int)n->live, "leader",
	    (int)n->leader, "barrier", (int)n->barrier, "at", json_time(n->at),
	    "gen", (json_int_t)n->gen, "version", json_text(n->version),
	    "haproxy", words(n->haproxy), "haproxy_pids",
	    words(n->haproxy_pids), "wanted", (json_int_t)n->wanted, "served",
	    (json_int_t)n->served, "failed", (json_int_t)n->failed, "errors",
	    node_errors(n->errors));
}

json_t *
json_counts(const struct domain *const *d, size_t n)
{
	json_int_t count[DOMAIN_STATUSES] = { 0 };
	json_t *o = json_pack("{s:I}", "total", (json_int_t)n);

	for (size_t i = 0; i < n; i++)
		count[d[i]->status]++;
	for (int s = 0; s < DOMAIN_STATUSES; s++)
		json_object_set_new(o,
		    domain_status_name((enum domain_status)s),
		    json_integer(count[s]));
	return o;
}

int
stream_id_parse(const char *s, struct stream_id *id)
{
	char *end;

	*id = (struct stream_id){ 0, 0 };
	if (*s < '0' || *s > '9')
		return -1;
	id->ms = strtoull(s, &end, 10);
	if (*end == '\0')
		return 0;
	if (*end != '-' || end[1] < '0' || end[1] > '9')
		return -1;
	id->seq = strtoull(end + 1, &end, 10);
	return *end == '\0' ? 0 : -1;
}

int
stream_id_compare(struct stream_id a, struct stream_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	if (a.seq != b.seq)
		return a.seq < b.seq ? -1 : 1;
	return 0;
}

static json_t *
event_value(const char *field, const char *value)
{
	static const char *const numbers[] = { "version", "gen", "attempts",
		"epoch" };
	size_t n = sizeof(numbers) / sizeof(numbers[0]);
	int64_t v;

	if (str_int(value, 0, INT64_MAX, &v) == -1)
		return json_text(value);
	/* What lies beyond the year 9999 is no time. */
	if ((strcmp(field, "at") == 0 || str_has_suffix(field, "_at") ||
		str_has_suffix(field, "_after")) &&
	    v < 253402300800000)
		return json_time(v);
	for (size_t i = 0; i < n; i++)
		if (strcmp(field, numbers[i]) == 0)
			return json_integer(v);
	return json_text(value);
}

json_t *
json_event(const char *id, const char *const *field, size_t nfields)
{
	json_t *o = json_object(), *key;

	json_object_set_new(o, "id", json_text(id));
	for (size_t i = 0; i < nfields; i++) {
		key = json_text(field[2 * i]);
		if (json_is_string(key) &&
		    strcmp(json_string_value(key), "id") != 0)
			json_object_set_new(o, json_string_value(key),
			    event_value(field[2 * i], field[2 * i + 1]));
		json_decref(key);
	}
	return o;
}

json_t *
json_body(const char *text, size_t len, struct err *e)
{
	json_error_t why;
	json_t *body;

	if (len == 0)
		return json_object();
	body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (body == NULL) {
		err_set(e, ERR_REFUSED, "the body is not JSON: line %d: %.120s",
		    why.line, why.text);
		return NULL;
	}
	if (!json_is_object(body)) {
		err_set(e, ERR_REFUSED, "the body must be a JSON object");
		json_decref(body);
		return NULL;
	}
	return body;
}

void
json_complain(json_t *errors, const char *field, const char *fmt, ...)
{
	json_t *list = json_object_get(errors, field);
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (list == NULL) {
		list = json_array();
		json_object_set_new(errors, field, list);
	}
	json_array_append_new(list, json_text(text));
}

/* A boolean is true or false, never "false" or 0.  -1: not there. */
static int
take_bool(json_t *o, const char *field, json_t *errors)
{
	json_t *v = json_object_get(o, field);

	if (v == NULL)
		return -1;
	if (json_is_boolean(v))
		return json_is_true(v);
	json_complain(errors, field, "must be a boolean");
	return -1;
}

static void
take_name(json_t *o, bool need, struct domain_change *c, json_t *errors)
{
	json_t *v = json_object_get(o, "name");
	struct err e = { 0 };

	if (v == NULL) {
		if (need)
			json_complain(errors, "name", "can't be blank");
	} else if (!json_is_string(v)) {
		json_complain(errors, "name", "must be a string");
	} else if (domain_normalise(json_string_value(v), c->name, &e) == -1) {
		c->name[0] = '\0';
		json_complain(errors, "name", "%s", e.text);
	}
}

/* Certificates of the customer's own: only their absence is understood. */
static void
refuse_custom(json_t *o, const char *field, json_t *errors)
{
	json_t *v = json_object_get(o, field);

	if (v == NULL || json_is_null(v))
		return;
	if (!json_is_string(v))
		json_complain(errors, field, "must be a string");
	else if (json_string_length(v) > 0)
		json_complain(
		    errors, field, "a custom certificate is not supported yet");
}

int
json_domain_change(
    json_t *body, bool need_name, struct domain_change *c, json_t *errors)
{
	json_t *o = json_object_get(body, "domain");

	*c = (struct domain_change){ .canonical = -1 };
	if (o == NULL)
		o = body;
	if (!json_is_object(o)) {
		json_complain(errors, "domain", "must be an object");
		return -1;
	}
	take_name(o, need_name, c, errors);
	c->canonical = take_bool(o, "canonical", errors);
	c->letsencrypt_enabled = take_bool(o, "letsencrypt_enabled", errors);
	if (c->canonical == 1)
		json_complain(errors, "canonical",
		    "a canonical domain is not supported yet");
	if (c->letsencrypt_enabled == 0)
		json_complain(errors, "letsencrypt_enabled",
		    "switching Let's Encrypt off is not supported yet");
	refuse_custom(o, "tlscert", errors);
	refuse_custom(o, "tlskey", errors);
	return json_object_size(errors) > 0 ? -1 : 0;
}
