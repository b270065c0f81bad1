#include "sync/trail.h"

#include <stdio.h>
#include <string.h>

#define SHOWN 72 /* of a name in a sentence */

static void walk_to(struct trail *, const char *name);
static void read_authority(
    struct trail *, size_t server, const uint8_t *message, size_t len);

static void
fail(struct trail *t, const char *what, const char *name, const char *why)
{
	t->answer.result = RESOLVE_FAIL;
	snprintf(t->answer.error, sizeof(t->answer.error), "%s %.*s%s%s", what,
	    SHOWN, name, why[0] != '\0' ? ": " : "", why);
	t->answer.zone[0] = '\0'; /* nobody is to make a record there */
	t->step = TRAIL_DONE;
}

void
trail_fail(struct trail *t, const char *why)
{
	fail(t, "the name servers of", t->answer.name, why);
}

void
trail_begin(struct trail *t, const char *fqdn)
{
	char name[256];
	size_t len;

	memset(t, 0, sizeof(*t));
	t->answer.server = t->server;
	snprintf(name, sizeof(name), "%s", fqdn);
	len = strlen(name);
	if (len > 0 && name[len - 1] == '.')
		name[len - 1] = '\0';
	for (char *p = name; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	memcpy(t->answer.fqdn, name, sizeof(t->answer.fqdn));
	walk_to(t, name);
}

/* The first that may be the zone of a name is its parent. */
static void
walk_to(struct trail *t, const char *name)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; i < t->nseen; i++)
		if (strcmp(t->seen[i], name) == 0) {
			fail(t, "the CNAMEs run in a loop:", name, "");
			return;
		}
	snprintf(t->answer.name, sizeof(t->answer.name), "%s", name);
	memcpy(t->seen[t->nseen++], t->answer.name, sizeof(t->seen[0]));
	t->answer.zone[0] = '\0';
	t->answer.nservers = 0;
	t->cut_known = false;
	if (dot == NULL) {
		fail(t, "no zone in DNS has", name, "");
		return;
	}
	snprintf(t->at, sizeof(t->at), "%s", dot + 1);
	t->step = TRAIL_ZONE;
}

/* RFC 1034 section 4.2: what has an SOA is the top of a zone. */
void
trail_got_zone(struct trail *t, enum resolve_result result,
    const struct dns_reply *reply, const char *error)
{
	const char *dot = strchr(t->at, '.');

	if (result == RESOLVE_FAIL) {
		fail(t, "cannot find the zone of", t->answer.name, error);
		return;
	}
	/* At the end of a CNAME it is another zone's. */
	if (result == RESOLVE_OK && reply->ncnames == 0) {
		memcpy(t->answer.zone, t->at, sizeof(t->answer.zone));
		t->step = TRAIL_HOSTS;
	} else if (dot == NULL) {
		fail(t, "no zone in DNS has", t->answer.name, "");
	} else {
		memmove(t->at, dot + 1, strlen(dot));
	}
}

void
trail_got_hosts(struct trail *t, enum resolve_result result,
    const struct dns_reply *reply, const char *error)
{
	if (result == RESOLVE_OK) {
		memcpy(t->host, reply->host, sizeof(t->host));
		t->nhosts = reply->nhosts;
		memset(t->of_host, 0, sizeof(t->of_host));
		t->step = TRAIL_ADDRESSES;
	} else {
		fail(t, "cannot find the name servers of", t->answer.zone,
		    result == RESOLVE_NONE ? "there are no NS records" : error);
	}
}

static bool
has_server(const struct trail *t, const char *address)
{
	for (size_t i = 0; i < t->answer.nservers; i++)
		if (strcmp(t->server[i].address, address) == 0)
			return true;
	return false;
}

static struct authority_server *
add_server(struct trail *t, size_t host, const char *address)
{
	struct authority_server *s;

	if (t->answer.nservers == AUTHORITY_SERVERS_MAX)
		return NULL;
	s = &t->server[t->answer.nservers];
	memset(s, 0, sizeof(*s));
	memset(&t->of_server[t->answer.nservers++], 0, sizeof(t->of_server[0]));
	memcpy(s->host, t->host[host], sizeof(s->host));
	snprintf(s->address, sizeof(s->address), "%s", address);
	s->result = RESOLVE_FAIL;
	return s;
}

void
trail_got_addresses(
    struct trail *t, size_t host, const struct resolve_answer *a)
{
	struct trail_host *h = &t->of_host[host];

	for (size_t i = 0; i < a->naddresses; i++)
		if (h->naddresses < TRAIL_ADDRESSES_MAX)
			memcpy(h->address[h->naddresses++], a->address[i],
			    sizeof(h->address[0]));
	h->unknown = h->naddresses == 0 &&
	             (a->a == RESOLVE_FAIL || a->aaaa == RESOLVE_FAIL);
}

/*
 * The first address of each, then the second of each: when there are more than
 * fit, none is left out altogether.  A name server without an address is one
 * that nobody can ask.
 */
void
trail_know_addresses(struct trail *t)
{
	t->answer.nservers = 0;
	for (size_t i = 0; i < TRAIL_ADDRESSES_MAX; i++)
		for (size_t h = 0; h < t->nhosts; h++)
			if (i < t->of_host[h].naddresses &&
			    !has_server(t, t->of_host[h].address[i]))
				add_server(t, h, t->of_host[h].address[i]);
	t->nasked = t->answer.nservers;
	for (size_t h = 0; h < t->nhosts; h++) {
		struct authority_server *s;

		if (!t->of_host[h].unknown)
			continue;
		s = add_server(t, h, "");
		if (s == NULL)
			continue;
		s->silent = true;
		snprintf(
		    s->error, sizeof(s->error), "cannot be looked up in DNS");
	}
	if (t->answer.nservers == 0)
		fail(t, "no name server with an address serves", t->answer.zone,
		    "");
	else
		t->step = t->nasked > 0 ? TRAIL_SERVERS : TRAIL_DONE;
}

void
trail_got_nothing(
    struct trail *t, size_t server, const char *why, bool no_route)
{
	struct authority_server *s = &t->server[server];

	s->result = RESOLVE_FAIL;
	s->silent = !no_route;
	s->no_route = no_route;
	snprintf(s->error, sizeof(s->error), "%s", why);
}

/* It answers, but not as one who knows. */
static void
refuse(struct trail *t, size_t server, const char *why)
{
	struct authority_server *s = &t->server[server];

	s->result = RESOLVE_FAIL;
	snprintf(s->error, sizeof(s->error), "%s", why);
}

static const char *
name_of(int rcode)
{
	switch (rcode) {
	case DNS_SERVFAIL:
		return "fails (SERVFAIL)";
	case DNS_REFUSED:
		return "refuses to answer for the zone (REFUSED)";
	case DNS_NOTAUTH:
		return "does not serve the zone (NOTAUTH)";
	default:
		return "answers with an error";
	}
}

void
trail_got_reply(
    struct trail *t, size_t server, const uint8_t *message, size_t len)
{
	const struct dns_message m = { message, len };

	if (len < DNS_HEADER)
		refuse(t, server, "answers what is no DNS message");
	else if (dns_message_rcode(&m) != DNS_NOERROR &&
		 dns_message_rcode(&m) != DNS_NXDOMAIN)
		refuse(t, server, name_of(dns_message_rcode(&m)));
	else
		read_authority(t, server, message, len);
}

/*
 * What is at the end of a chain is another matter, also when this server says
 * something about it: its zone may have other servers.
 */
static void
take_turn(struct trail *t, size_t server, const struct dns_reply *r)
{
	struct trail_server *turn = &t->of_server[server];
	struct authority_server *s = &t->server[server];

	if (r->ncnames > 0) {
		s->result = RESOLVE_NONE;
		turn->turn = TURN_CNAME;
		memcpy(turn->to, r->cname[0], sizeof(turn->to));
	} else if (r->ntxts > 0) {
		s->result = RESOLVE_OK;
		turn->turn = TURN_END;
		memcpy(s->value, r->txt, sizeof(s->value));
		s->nvalues = r->ntxts;
	} else {
		s->result = RESOLVE_NONE;
		turn->turn = TURN_END;
		if (!dns_name_is_within(t->answer.zone, r->zone)) {
			turn->turn = TURN_CUT;
			memcpy(turn->to, r->zone, sizeof(turn->to));
		}
	}
}

static void
read_authority(
    struct trail *t, size_t server, const uint8_t *message, size_t len)
{
	const struct dns_message m = { message, len };
	struct dns_reply r;
	struct dns_referral referral;
	struct err e;

	memset(&r, 0, sizeof(r));
	if (dns_reply_add(&r, t->answer.name, DNS_TXT, message, len, &e) ==
		-1 &&
	    r.ncnames == 0) {
		refuse(t, server, "answers what cannot be read");
		return;
	}
	if (dns_message_is_authoritative(&m) || dns_reply_found(&r) ||
	    r.ncnames > 0 || r.final) {
		take_turn(t, server, &r);
		return;
	}
	if (!dns_referral_read(
		&referral, t->answer.name, t->answer.zone, message, len)) {
		refuse(t, server, "does not serve the zone (lame)");
		return;
	}
	t->of_server[server].turn = TURN_REFERRAL;
	memcpy(t->of_server[server].to, referral.zone, sizeof(referral.zone));
	t->referral = referral; /* of several any: they go on to the same */
}

/* The server that leads furthest away; -1: none does. */
static int
find_turn(const struct trail *t)
{
	int best = -1;

	for (size_t i = 0; i < t->nasked; i++) {
		enum trail_turn turn = t->of_server[i].turn;

		if (turn > TURN_END &&
		    (best == -1 || turn > t->of_server[best].turn))
			best = (int)i;
	}
	return best;
}

/* A zone below has been found: by its own servers, or by those above. */
static void
descend(struct trail *t, const char *zone, const struct dns_referral *referral)
{
	snprintf(t->answer.zone, sizeof(t->answer.zone), "%s", zone);
	t->answer.nservers = 0;
	t->step = TRAIL_HOSTS;
	if (referral == NULL)
		return;
	memcpy(t->host, referral->host, sizeof(t->host));
	t->nhosts = referral->nhosts;
	memset(t->of_host, 0, sizeof(t->of_host));
	t->step = TRAIL_ADDRESSES;
}

/* While some show a CNAME and others do not, a CA may meet either. */
static bool
all_turn(struct trail *t, size_t best)
{
	const struct trail_server *to = &t->of_server[best];
	const struct authority_server *s = &t->server[best], *other;

	for (size_t i = 0; i < t->nasked; i++) {
		if (t->of_server[i].turn == TURN_NONE ||
		    (t->of_server[i].turn == TURN_CNAME &&
			strcmp(t->of_server[i].to, to->to) == 0))
			continue;
		other = &t->server[i];
		fail(t, "not every name server has the same CNAME at",
		    t->answer.name, "");
		snprintf(t->answer.error + strlen(t->answer.error),
		    sizeof(t->answer.error) - strlen(t->answer.error),
		    ": %.36s shows one, %.36s another or none", s->host,
		    other->host);
		return false;
	}
	return true;
}

/*
 * A server of both the zone and one below answers for the latter without a
 * word, when there is something at the name: that one has to be asked for.
 */
static void
look_for_cut(struct trail *t)
{
	t->step = TRAIL_DONE;
	if (t->cut_known || strcmp(t->answer.zone, t->answer.name) == 0)
		return;
	for (size_t i = 0; i < t->nasked; i++)
		if (t->server[i].result == RESOLVE_NONE)
			return; /* with the SOA of its zone, which is ours */
	for (size_t i = 0; i < t->nasked; i++)
		if (t->server[i].result == RESOLVE_OK) {
			t->cut_server = i;
			t->step = TRAIL_CUT;
			return;
		}
}

void
trail_heard_all(struct trail *t)
{
	int best = find_turn(t);
	struct trail_server to;

	if (best == -1) {
		look_for_cut(t);
		return;
	}
	to = t->of_server[best];
	if (to.turn == TURN_CNAME && !all_turn(t, (size_t)best))
		return;
	if (t->turns++ == TRAIL_TURNS_MAX)
		fail(t, "too many CNAMEs and delegations, the last at",
		    t->answer.name, "");
	else if (to.turn == TURN_CNAME)
		walk_to(t, to.to);
	else
		descend(
		    t, to.to, to.turn == TURN_REFERRAL ? &t->referral : NULL);
}

void
trail_got_cut(struct trail *t, const uint8_t *message, size_t len)
{
	struct dns_reply r;
	struct err e;

	t->cut_known = true;
	t->step = TRAIL_DONE;
	memset(&r, 0, sizeof(r));
	if (len == 0 ||
	    dns_reply_add(&r, t->answer.name, DNS_SOA, message, len, &e) ==
		-1 ||
	    r.ncnames > 0)
		return;
	if (r.soa)
		descend(t, t->answer.name, NULL);
	else if (r.final && !dns_name_is_within(t->answer.zone, r.zone))
		descend(t, r.zone, NULL);
}
