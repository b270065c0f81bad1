/*
 * Amazon Route 53, API of 2013-04-01: https://docs.aws.amazon.com/Route53/
 *
 * A record set is replaced as a whole.  Deleting exactly what was read and
 * creating the new set in one batch is compare-and-swap: whoever was faster
 * makes the batch fail.  A change is PENDING until all name servers have it.
 *
 * With DNS_AWS_HOSTED_ZONE_ID no zone is looked for: policies often forbid it.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/str.h"
#include "providers/providers.h"
#include "providers/route53_reply.h"
#include "providers/sigv4.h"
#include "providers/step.h"
#include "providers/txt.h"
#include "providers/xml.h"

#define VERSION "/2013-04-01"
#define NAMESPACE "https://route53.amazonaws.com/doc/2013-04-01/"
#define TRACK_MS 4000
#define TRACK_LIMIT_MS 120000

enum {
	KEY_ID = 0,
	SECRET,
	ZONE_ID
};
enum {
	PROBE = 0,
	ZONE,
	READ,
	CHANGE,
	TRACK
};

static int
sign(const struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	const struct sigv4 s = { t->access->credential[KEY_ID],
		t->access->credential[SECRET], "us-east-1", "route53" };

	return sigv4_sign(&s, t->now_s, req, e);
}

/* "/hostedzone/Z123" and "Z123" are the same. */
static const char *
bare_id(const char *id)
{
	const char *slash = strrchr(id, '/');

	return slash != NULL ? slash + 1 : id;
}

static const char *
given_zone(const struct txt_record *t)
{
	return bare_id(t->access->credential[ZONE_ID]);
}

static void
set_url(struct http_msg_req *req, const char *zone_id, const char *fqdn)
{
	http_msg_url(req, VERSION "/hostedzone/");
	http_msg_url_piece(req, zone_id);
	http_msg_url(req, "/rrset?maxitems=1");
	if (fqdn != NULL) {
		http_msg_url(req, "&name=");
		http_msg_url_piece(req, fqdn);
		http_msg_url(req, ".&type=TXT");
	}
}

static int
probe_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	step_start(t, req, "GET");
	if (given_zone(t)[0] != '\0')
		set_url(req, given_zone(t), NULL);
	else
		http_msg_url(req, VERSION "/hostedzonesbyname?maxitems=1");
	return sign(t, req, e);
}

static int
probe_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	const char *name = given_zone(t)[0] != '\0'
	                       ? "ListResourceRecordSetsResponse"
	                       : "ListHostedZonesByNameResponse";
	struct xml_node *root = route53_unwrap(t, res, name, e);

	if (root == NULL)
		return -1;
	xml_free(root);
	t->step = PROVIDER_DONE;
	return 0;
}

/* With a zone id given, only that it exists: by a call we need anyway. */
static int
zone_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	step_start(t, req, "GET");
	if (given_zone(t)[0] != '\0') {
		set_url(req, given_zone(t), t->fqdn);
		return sign(t, req, e);
	}
	http_msg_url(req, VERSION "/hostedzonesbyname?dnsname=");
	http_msg_url_piece(req, t->zone);
	if (t->cursor[0] != '\0') {
		http_msg_url(req, "&hostedzoneid=");
		http_msg_url_piece(req, t->cursor);
	}
	http_msg_url(req, "&maxitems=10");
	return sign(t, req, e);
}

/* "Example.com." is example.com. */
static bool
same_name(const char *dotted, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(dotted, name, len) == 0 &&
	       (dotted[len] == '\0' || strcmp(dotted + len, ".") == 0);
}

/*
 * The list begins at the name and goes on with other names; a private zone of
 * the same name may come first.
 */
static int
find_zone(struct txt_record *t, const struct xml_node *root, struct err *e)
{
	const struct xml_node *z =
	    xml_child(xml_child(root, "HostedZones"), "HostedZone");

	for (; z != NULL; z = xml_next(z)) {
		const char *private =
		    xml_text(xml_child(z, "Config"), "PrivateZone");

		if (!same_name(xml_text(z, "Name"), t->zone) ||
		    strcmp(private, "true") == 0)
			continue;
		t->step = PROVIDER_DONE;
		return str_copy(t->zone_id, sizeof(t->zone_id),
		    bare_id(xml_text(z, "Id")), e);
	}
	if (strcmp(xml_text(root, "IsTruncated"), "true") == 0 &&
	    same_name(xml_text(root, "NextDNSName"), t->zone))
		return str_copy(t->cursor, sizeof(t->cursor),
		    xml_text(root, "NextHostedZoneId"), e);
	return step_next_zone(t, e);
}

static int
zone_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	struct xml_node *root;
	int rc;

	if (given_zone(t)[0] != '\0') {
		if (probe_got(t, res, e) == -1)
			return -1;
		return str_copy(
		    t->zone_id, sizeof(t->zone_id), given_zone(t), e);
	}
	root = route53_unwrap(t, res, "ListHostedZonesByNameResponse", e);
	if (root == NULL)
		return -1;
	rc = find_zone(t, root, e);
	xml_free(root);
	return rc;
}

static int
read_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	step_start(t, req, "GET");
	set_url(req, t->zone_id, t->fqdn);
	return sign(t, req, e);
}

/* The set as it is: {"ttl": "60", "values": ["\"V\""]}; NULL: there is none. */
static json_t *
read_set(const struct xml_node *set)
{
	const struct xml_node *record =
	    xml_child(xml_child(set, "ResourceRecords"), "ResourceRecord");
	json_t *values = json_array();

	for (; record != NULL; record = xml_next(record))
		json_array_append_new(
		    values, json_string(xml_text(record, "Value")));
	return json_pack(
	    "{s:s,s:o}", "ttl", xml_text(set, "TTL"), "values", values);
}

/* Where our value stands in the set; its length when it does not. */
static size_t
position(const struct txt_record *t)
{
	json_t *values = json_object_get(t->set, "values");
	size_t i, n = json_array_size(values);

	for (i = 0; i < n; i++)
		if (txt_same(
			json_string_value(json_array_get(values, i)), t->value))
			break;
	return i;
}

static bool
has_value(const struct txt_record *t)
{
	return position(t) < json_array_size(json_object_get(t->set, "values"));
}

/* The answer begins at the name: it can be another record. */
static int
read_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	struct xml_node *root =
	    route53_unwrap(t, res, "ListResourceRecordSetsResponse", e);
	const struct xml_node *set;
	bool foreign = false;

	if (root == NULL)
		return -1;
	step_keep_set(t, NULL);
	set = xml_child(
	    xml_child(root, "ResourceRecordSets"), "ResourceRecordSet");
	if (set != NULL && same_name(xml_text(set, "Name"), t->fqdn) &&
	    strcmp(xml_text(set, "Type"), "TXT") == 0) {
		foreign = xml_child(set, "SetIdentifier") != NULL ||
		          xml_child(set, "AliasTarget") != NULL;
		step_keep_set(t, read_set(set));
	}
	xml_free(root);
	if (foreign)
		return err_set(e, ERR_REFUSED,
		    "route53: %.80s has TXT records with a routing policy or "
		    "an alias; "
		    "remove them, or delegate the name by a CNAME",
		    t->fqdn);
	t->step =
	    has_value(t) == (t->op == PROVIDER_CREATE) ? PROVIDER_DONE : CHANGE;
	return 0;
}

static int
put_change(const struct txt_record *t, const char *action, const char *ttl,
    json_t *values, struct buf *b)
{
	json_t *value;
	size_t i;

	int rc;

	rc = buf_putf(b,
	    "<Change><Action>%s</Action><ResourceRecordSet><Name>%s.</Name>"
	    "<Type>TXT</Type><TTL>%s</TTL><ResourceRecords>",
	    action, t->fqdn, ttl);
	json_array_foreach (values, i, value) {
		rc |= buf_puts(b, "<ResourceRecord><Value>");
		rc |= xml_escape(b, json_string_value(value));
		rc |= buf_puts(b, "</Value></ResourceRecord>");
	}
	rc |= buf_puts(b, "</ResourceRecords></ResourceRecordSet></Change>");
	return rc;
}

/* The values that shall be there: with ours, or without it. */
static json_t *
new_values(const struct txt_record *t)
{
	json_t *old = json_object_get(t->set, "values");
	json_t *values = old != NULL ? json_copy(old) : json_array();
	struct buf quoted;

	if (t->op == PROVIDER_REMOVE) {
		json_array_remove(values, position(t));
		return values;
	}
	buf_init(&quoted, 4096);
	if (txt_quote(&quoted, t->value) == 0)
		json_array_append_new(values, json_string(quoted.p));
	buf_clear(&quoted);
	return values;
}

/* The old set as it was read, so that it is deleted only as such. */
static int
put_changes(const struct txt_record *t, struct buf *b)
{
	json_t *old = json_object_get(t->set, "values");
	json_t *values = new_values(t);
	char ttl[16];
	int rc = 0;

	snprintf(ttl, sizeof(ttl), "%d", t->access->provider->ttl);
	if (old != NULL) {
		snprintf(ttl, sizeof(ttl), "%s",
		    json_string_value(json_object_get(t->set, "ttl")));
		rc |= put_change(t, "DELETE", ttl, old, b);
	}
	if (json_array_size(values) > 0)
		rc |= put_change(t, "CREATE", ttl, values, b);
	json_decref(values);
	return rc;
}

static int
change_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	struct buf b;
	int rc;

	buf_init(&b, HTTP_MSG_BODY_MAX);
	rc = put_changes(t, &b);
	step_start(t, req, "POST");
	req->too_long = rc != 0;
	http_msg_url(req, VERSION "/hostedzone/");
	http_msg_url_piece(req, t->zone_id);
	http_msg_url(req, "/rrset");
	http_msg_body(req,
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
	    "<ChangeResourceRecordSetsRequest xmlns=\"" NAMESPACE "\">"
	    "<ChangeBatch><Changes>%s</Changes></ChangeBatch>"
	    "</ChangeResourceRecordSetsRequest>",
	    b.p);
	http_msg_header(req, "Content-Type: text/xml");
	buf_clear(&b);
	return sign(t, req, e);
}

static int
change_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	struct xml_node *root;
	struct route53_problem p;
	int rc;

	if (res->status / 100 != 2) {
		route53_problem(res, &p);
		if (p.status == 409)
			return step_conflict(t, READ, e);
		return route53_refused(t, res, &p, e);
	}
	root = route53_unwrap(t, res, "ChangeResourceRecordSetsResponse", e);
	if (root == NULL)
		return -1;
	rc = str_copy(t->change, sizeof(t->change),
	    bare_id(xml_text(xml_child(root, "ChangeInfo"), "Id")), e);
	xml_free(root);
	t->step = PROVIDER_DONE;
	if (t->op == PROVIDER_CREATE && t->change[0] != '\0') {
		t->step = TRACK;
		t->wait_ms = TRACK_MS;
	}
	return rc;
}

static int
track_ask(struct txt_record *t, struct http_msg_req *req, struct err *e)
{
	step_start(t, req, "GET");
	http_msg_url(req, VERSION "/change/");
	http_msg_url_piece(req, t->change);
	return sign(t, req, e);
}

/* Policies may forbid it: the name servers have the last word anyway. */
static int
track_got(struct txt_record *t, const struct http_msg_res *res, struct err *e)
{
	struct xml_node *root = xml_parse(res->body, res->len);
	bool pending, over;
	struct route53_problem p;

	(void)e;
	pending = strcmp(xml_text(xml_child(root, "ChangeInfo"), "Status"),
		      "PENDING") == 0;
	xml_free(root);
	route53_problem(res, &p);
	over = !pending && p.status != 429 && p.status < 500;
	if (over || !step_poll(t, TRACK_MS, TRACK_LIMIT_MS))
		t->step = PROVIDER_DONE;
	return 0;
}

static const struct provider_step steps[] = {
	/* clang-format off */
	[PROBE]  = { probe_ask,  probe_got },
	[ZONE]   = { zone_ask,   zone_got },
	[READ]   = { read_ask,   read_got },
	[CHANGE] = { change_ask, change_got },
	[TRACK]  = { track_ask,  track_got },
	/* clang-format on */
};

const struct provider provider_route53 = {
	.name = "route53",
	.base_url = "https://route53.amazonaws.com",
	.setting = {
		[KEY_ID] = { .name = "DNS_AWS_ACCESS_KEY_ID", .ways = 1 },
		[SECRET] = { .name = "DNS_AWS_SECRET_ACCESS_KEY", .ways = 1 },
		[ZONE_ID] = { .name = "DNS_AWS_HOSTED_ZONE_ID",
		    .plain = true },
	},
	.nsettings = 3,
	.step = steps,
	.first = { PROBE, ZONE, READ, READ },
	.ttl = 60,
	.poll_ms = 4000,
	.limit_ms = 120000,
};
