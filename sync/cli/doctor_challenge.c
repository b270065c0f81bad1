/*
 * A challenge from end to end: HAProxy, its filter, the agent, Redis.  What a
 * CA would be answered by this node.
 */
#include <stdio.h>
#include <string.h>

#include "common/str.h"
#include "sync/cli/doctor.h"

#define ANSWER_MAX 8192

/* What to do about an answer that is not the key authorization. */
static void
explain(struct doctor *d, int status)
{
	switch (status) {
	case 503:
		doctor_cure(d, "HAProxy does not reach the agent: see "
			       "agent.listen and the server of the backend "
			       "certfleet_spoa");
		break;
	case 404:
		doctor_cure(d, "the filter is missing where challenges come "
			       "in, or the agent looks into another Redis: "
			       "see haproxy.filter and agent.listen");
		break;
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		doctor_cure(d, "a redirect takes challenges with it: give it "
			       "\"unless acme_challenge\" as in certfleet's "
			       "haproxy.cfg");
		break;
	default:
		doctor_cure(d, "the use_backend line for /.well-known/"
			       "acme-challenge/ is missing in the frontend, "
			       "or haproxy.http_address is another server");
		break;
	}
}

void
doctor_challenge(struct doctor *d, const char *token, const char *keyauth)
{
	const char *address = d->conf->haproxy.http_address;
	char text[512], answer[ANSWER_MAX];
	struct err e = { 0 };
	int64_t status = 0;
	ssize_t n;

	snprintf(text, sizeof(text),
	    "GET /.well-known/acme-challenge/%s HTTP/1.0\r\n"
	    "Host: doctor.certfleet.invalid\r\n\r\n",
	    token);
	n = doctor_talk(
	    address, text, strlen(text), answer, sizeof(answer), &e);
	if (n == -1) {
		doctor_find(d, DOCTOR_ERROR, "haproxy.challenge", "%s: %s",
		    address, e.text);
		doctor_should(d, "HAProxy's frontend for HTTP");
		doctor_cure(d, "start HAProxy; haproxy.http_address says "
			       "where it listens");
		return;
	}
	if (strstr(answer, keyauth) != NULL) {
		doctor_find(d, DOCTOR_WELL, "haproxy.challenge",
		    "%s answers one", address);
		return;
	}
	if (n > 12 && str_has_prefix(answer, "HTTP/1.")) {
		answer[12] = '\0';
		str_int(answer + 9, 100, 599, &status);
	}
	doctor_find(d, DOCTOR_ERROR, "haproxy.challenge",
	    "%s answers a challenge with %d", address, (int)status);
	doctor_should(d, "200 with the key authorization: no CA can prove a "
			 "domain otherwise");
	explain(d, (int)status);
}
