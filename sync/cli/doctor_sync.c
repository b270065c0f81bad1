/* certfleet-sync and the agent, and what the former knows better than we. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sync/cli/doctor.h"
#include "sync/cli/text.h"

#define SKEW_MAX_S 60 /* as sync/skew.h has it */

/* What certfleet-sync answers; NULL: nothing good. */
static json_t *
ask(const struct doctor *d, const char *path, struct err *e)
{
	const struct conf *conf = d->conf;
	struct answer a = { 0 };

	if (client_ask(conf->api.socket, "GET", path, NULL, &a, e) == -1) {
		json_decref(a.body);
		return NULL;
	}
	if (a.status == 200)
		return a.body;
	err_set(e, ERR_AGAIN, "certfleet-sync answers %d", a.status);
	json_decref(a.body);
	return NULL;
}

/* --- certfleet-sync ---------------------------------------------------------------- */

static void
check_socket(struct doctor *d)
{
	const char *path = d->conf->api.socket;
	struct stat s;

	if (stat(path, &s) == -1)
		return;
	if ((s.st_mode & 02) == 0) {
		doctor_find(d, DOCTOR_WELL, "sync.socket", "%s, mode %03o",
		    path, (unsigned int)(s.st_mode & 0777));
		return;
	}
	doctor_find(d, DOCTOR_ERROR, "sync.socket", "%s has mode %03o", path,
	    (unsigned int)(s.st_mode & 0777));
	doctor_should(d, "no access for others: who may connect may do all");
	doctor_cure(d, "chmod o= %s; api.socket_group names who may", path);
}

static void
check_status(struct doctor *d, const json_t *o)
{
	const json_t *haproxies = json_object_get(o, "haproxies");
	char *error = text_member(o, "error");
	int64_t up = text_int_member(haproxies, "up");
	int64_t total = text_int_member(haproxies, "total");

	if (!json_is_true(json_object_get(json_object_get(o, "redis"), "up"))) {
		doctor_find(d, DOCTOR_ERROR, "sync.redis",
		    "certfleet-sync has no Redis");
		doctor_should(d, "a connection to Redis");
		doctor_cure(d, "see redis.server below; its log says more");
	}
	if (up < total) {
		doctor_find(d, DOCTOR_ERROR, "sync.haproxy",
		    "certfleet-sync reaches %" PRId64 " of %" PRId64
		    " HAProxies",
		    up, total);
		doctor_should(d, "all of haproxy.sockets");
		doctor_cure(d, "see haproxy.socket below: its group has to be "
			       "one of certfleet-sync's");
	}
	if (error[0] != '\0') {
		doctor_find(d, DOCTOR_ERROR, "sync.error", "%s", error);
		doctor_should(d, "nothing that certfleet-sync complains of");
		doctor_cure(d, "what it says; certfleet status shows when it "
			       "is over");
	}
	free(error);
}

static bool
has_key(const json_t *keys, int64_t id)
{
	const json_t *k;
	size_t i;

	json_array_foreach (keys, i, k)
		if (text_int_member(k, "id") == id)
			return true;
	return false;
}

/* What another node seals this one has to open. */
static void
check_rings(struct doctor *d)
{
	struct err e = { 0 };
	json_t *o = ask(d, "/api/v1/kek", &e);
	const json_t *kek = json_object_get(o, "kek"), *n;
	bool well = o != NULL;
	size_t i;

	json_array_foreach (json_object_get(kek, "nodes"), i, n) {
		int64_t id = text_int_member(n, "seals");
		char *name = text_member(n, "id");

		if (id > 0 && !has_key(json_object_get(kek, "keys"), id)) {
			doctor_find(d, DOCTOR_ERROR, "kek.fleet",
			    "node %s seals with key %" PRId64
			    ", which this node does not have",
			    name, id);
			doctor_should(d, "one key ring for all nodes");
			doctor_cure(d, "give this node the ring of that one "
				       "and restart certfleet-sync");
			well = false;
		}
		free(name);
	}
	if (well)
		doctor_find(d, DOCTOR_WELL, "kek.fleet",
		    "it has the keys that the nodes seal with");
	json_decref(o);
}

void
doctor_sync(struct doctor *d)
{
	struct err e = { 0 };
	json_t *o = ask(d, "/api/v1/status", &e);

	check_socket(d);
	d->sync_up = o != NULL;
	if (o == NULL) {
		doctor_find(d, DOCTOR_ERROR, "sync.running", "%s", e.text);
		doctor_should(d, "running: it brings certificates to HAProxy "
				 "and renews them");
		doctor_cure(d, "systemctl start certfleet-sync; journalctl -u "
			       "certfleet-sync says why it does not");
		return;
	}
	doctor_find(d, DOCTOR_WELL, "sync.running", "it answers");
	check_status(d, o);
	json_decref(o);
	check_rings(d);
}

/* --- the agent --------------------------------------------------------------------- */

void
doctor_agent(struct doctor *d)
{
	const struct conf_list *list = &d->conf->agent.listen;

	for (size_t i = 0; i < list->n; i++) {
		struct err e = { 0 };
		int fd = doctor_connect(list->item[i], &e);

		if (fd != -1) {
			close(fd);
			doctor_find(d, DOCTOR_WELL, "agent.listen",
			    "%s answers", list->item[i]);
			continue;
		}
		doctor_find(d, DOCTOR_ERROR, "agent.listen", "%s: %s",
		    list->item[i], e.text);
		doctor_should(d, "certfleet-agent, which tells HAProxy what "
				 "to answer to a CA");
		doctor_cure(d, "systemctl start certfleet-agent");
	}
}

/* --- DNS --------------------------------------------------------------------------- */

static bool
is_host_name(const char *target)
{
	return strpbrk(target, ":/") == NULL &&
	       strspn(target, "0123456789.") != strlen(target);
}

/* A name must have an address by the resolvers that certfleet-sync asks. */
static void
check_target(struct doctor *d, const char *name)
{
	struct err e = { 0 };
	struct buf path;
	json_t *o;
	const json_t *found;

	cli_domain_path(&path, "/api/v1/check/", name);
	o = ask(d, path.p, &e);
	buf_clear(&path);
	found = json_object_get(
	    json_object_get(json_object_get(o, "check"), "found"), "addresses");
	if (o == NULL) {
		doctor_find(
		    d, DOCTOR_SKIPPED, "dns.targets", "%s: %s", name, e.text);
	} else if (json_array_size(found) > 0) {
		doctor_find(d, DOCTOR_WELL, "dns.targets",
		    "%s has %zu address%s", name, json_array_size(found),
		    json_array_size(found) == 1 ? "" : "es");
	} else {
		doctor_find(d, DOCTOR_ERROR, "dns.targets",
		    "%s has no address in DNS", name);
		doctor_should(d, "the addresses of the fleet: domains that "
				 "point to them are compared with these");
		doctor_cure(d, "create its A or AAAA records, or correct "
			       "dns.targets; dns.resolvers says who is asked");
	}
	json_decref(o);
}

void
doctor_dns(struct doctor *d)
{
	const struct conf_list *targets = &d->conf->dns.targets;

	if (targets->n == 0) {
		doctor_find(
		    d, DOCTOR_WARNING, "dns.targets", "dns.targets is empty");
		doctor_should(d, "the addresses and names that domains may "
				 "point to: else only an HTTP question "
				 "through each name can tell");
		doctor_cure(d, "dns { targets = { \"192.0.2.10\", "
			       "\"edge.example.com\" } }");
	}
	for (size_t i = 0; i < targets->n; i++) {
		if (!is_host_name(targets->item[i]))
			doctor_find(d, DOCTOR_WELL, "dns.targets", "%s",
			    targets->item[i]);
		else if (d->sync_up)
			check_target(d, targets->item[i]);
		else
			doctor_find(d, DOCTOR_SKIPPED, "dns.targets",
			    "%s: certfleet-sync is asked for it, and is not "
			    "there",
			    targets->item[i]);
	}
}

/* --- the CA ------------------------------------------------------------------------ */

/* Before the first order somebody has to say so. */
static void
check_consent(struct doctor *d, const char *section, bool agreed,
    const struct conf_list *contact)
{
	if (!agreed) {
		doctor_find(d, DOCTOR_ERROR, "ca.terms",
		    "%s.agree_tos is false", section);
		doctor_should(d, "true: nothing is ordered before somebody "
				 "agrees to the CA's terms of service");
		doctor_cure(
		    d, "read them, then %s { agree_tos = true }", section);
	} else {
		doctor_find(
		    d, DOCTOR_WELL, "ca.terms", "%s: agreed to", section);
	}
	if (contact->n == 0) {
		doctor_find(d, DOCTOR_WARNING, "ca.contact",
		    "%s.contact is empty", section);
		doctor_should(d, "somebody whom the CA can write to when it "
				 "has to revoke");
		doctor_cure(d,
		    "%s { contact = { \"mailto:ops@example.com\" } }", section);
	} else {
		doctor_find(d, DOCTOR_WELL, "ca.contact", "%s: %s", section,
		    contact->item[0]);
	}
}

static void
check_directory(struct doctor *d, const json_t *ca)
{
	char *url = text_member(ca, "directory");
	char *error = text_member(ca, "error");
	const json_t *ahead = json_object_get(ca, "ahead_ms");
	int64_t s = text_int_member(ca, "ahead_ms") / 1000;

	if (error[0] != '\0') {
		doctor_find(
		    d, DOCTOR_ERROR, "ca.directory", "%s: %s", url, error);
		doctor_should(d, "reached by HTTPS, and trusted");
		doctor_cure(d,
		    "curl %s; let this node out to it, and see "
		    "acme.ca_file",
		    url);
	} else {
		doctor_find(d, DOCTOR_WELL, "ca.directory", "%s", url);
	}
	if (json_is_integer(ahead) && (s > SKEW_MAX_S || s < -SKEW_MAX_S)) {
		doctor_find(d, DOCTOR_ERROR, "clock.ca",
		    "this node's clock is %" PRId64 " s %s the CA's",
		    s < 0 ? -s : s, s < 0 ? "behind" : "ahead of");
		doctor_should(d, "less than %d s apart", SKEW_MAX_S);
		doctor_cure(d, "run chrony or systemd-timesyncd");
	} else if (json_is_integer(ahead)) {
		doctor_find(
		    d, DOCTOR_WELL, "clock.ca", "%" PRId64 " s apart", s);
	}
	free(url);
	free(error);
}

void
doctor_ca(struct doctor *d)
{
	const struct conf *conf = d->conf;
	struct err e = { 0 };
	const json_t *ca;
	json_t *o;
	size_t i;

	check_consent(d, "acme", conf->acme.agree_tos, &conf->acme.contact);
	if (conf->acme_fallback.directory[0] != '\0')
		check_consent(d, "acme_fallback", conf->acme_fallback.agree_tos,
		    &conf->acme_fallback.contact);
	if (!d->sync_up) {
		doctor_find(d, DOCTOR_SKIPPED, "ca.directory",
		    "certfleet-sync is asked for it, and is not there");
		return;
	}
	o = ask(d, "/api/v1/ca", &e);
	if (o == NULL)
		doctor_find(d, DOCTOR_SKIPPED, "ca.directory", "%s", e.text);
	json_array_foreach (json_object_get(o, "cas"), i, ca)
		check_directory(d, ca);
	json_decref(o);
}
