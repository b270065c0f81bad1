/* A certificate on its way into the HAProxys, and whether they show it. */
#include <stdio.h>
#include <string.h>

#include "common/conf.h"
#include "common/domain.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/metric.h"
#include "haproxy/files.h"
#include "haproxy/handshake.h"
#include "sync/hold_impl.h"

#define DEFAULT_SNI "default.certfleet.invalid"
#define PROVE_FIRST_MS 50
#define PROVE_LAST_MS 10000

static void prove(void *);

static void
on_handshake(void *arg, const char *sha1, const struct err *e)
{
	struct held *x = arg;
	struct err bad;

	x->handshake = NULL;
	if (sha1 != NULL && strcmp(sha1, x->sha1) == 0) {
		x->shown = true;
		x->pause_ms = 0;
		held_served(x);
		return;
	}
	held_shows_other(x, sha1);
	/* HAProxy has it and still shows another: look again, then say so. */
	x->pause_ms = x->pause_ms > 0 ? x->pause_ms * 2 : PROVE_FIRST_MS;
	if (x->pause_ms > PROVE_LAST_MS)
		x->pause_ms = PROVE_LAST_MS;
	loop_after(x->hold->base, &x->again, x->pause_ms, prove, x);
	if (x->pause_ms < PROVE_FIRST_MS * 16)
		return;
	if (x->trial != NULL && sha1 != NULL)
		x->trial->refused = true;
	if (sha1 != NULL)
		err_set(&bad, ERR_AGAIN,
		    "HAProxy took it, but %s shows certificate %s; is there "
		    "another line for this name?",
		    x->hold->conf->haproxy.https_address, sha1);
	else
		err_set(&bad, ERR_AGAIN, "handshake with %s: %s",
		    x->hold->conf->haproxy.https_address, e->text);
	held_failed(x, &bad);
}

/* For a wildcard a name below it. */
void
held_sni(const char *its, char out[static HELD_SNI_MAX])
{
	char name[DOMAIN_NAME_MAX];

	files_domain(its, name);
	if (strcmp(its, DEFAULT_NAME) == 0)
		snprintf(out, HELD_SNI_MAX, DEFAULT_SNI);
	else
		snprintf(out, HELD_SNI_MAX, "%s%s",
		    domain_wildcard(name) ? "certfleet." : "",
		    domain_base(name));
}

/* A handshake is the proof. */
static void
prove(void *arg)
{
	struct held *x = arg;
	const struct conf *conf = x->hold->conf;
	char sni[HELD_SNI_MAX];

	if (conf->haproxy.https_address[0] == '\0' || x->proven_before) {
		held_served(x);
		return;
	}
	held_sni(x->name, sni);
	x->handshake =
	    (files_is_second(x->name) ? handshake_start_rsa : handshake_start)(
		x->hold->base, conf->haproxy.https_address, sni,
		conf->haproxy.command_timeout_ms, on_handshake, x);
}

void
held_prove_again(struct held *x, int64_t pause_ms)
{
	if (x->handshake != NULL || x->pause_ms > 0)
		return; /* it is being looked at */
	x->proven_before = false;
	x->pause_ms = pause_ms;
	loop_after(x->hold->base, &x->again, pause_ms, prove, x);
}

static void
begin_proof(struct held *x)
{
	held_set_state(x, HELD_PROVING);
	x->pause_ms = 0;
	if (x->handshake != NULL)
		handshake_cancel(x->handshake);
	x->handshake = NULL;
	prove(x);
}

void
hold_on_pushed(
    void *arg, const char *path, const char *sha1, const struct err *e)
{
	struct target *t = arg;
	struct hold *h = t->hold;
	struct held *x;

	x = held_find_path(h, path);
	if (x == NULL || strcmp(x->sha1, sha1) != 0)
		return; /* about a certificate that is no longer wanted */
	metric_count(METRIC_PUSH,
	    e == NULL                ? METRIC_PUSH_OK
	    : e->kind == ERR_REFUSED ? METRIC_PUSH_REFUSED
				     : METRIC_PUSH_RETRIED,
	    0);
	if (e != NULL && e->kind == ERR_REFUSED) {
		if (x->trial != NULL)
			x->trial->refused = true;
		held_failed(x, e);
		return;
	}
	if (e != NULL) {
		log_debug("domain=%s push: %s", x->name, e->text);
		return; /* the push tries again */
	}
	x->pushed |= 1u << t->number;
	if (x->pushed == (1ull << h->ntargets) - 1 && x->state != HELD_SERVED)
		begin_proof(x);
}

void
hold_on_process(void *arg, int pid, const char *version)
{
	struct target *t = arg;

	log_info("haproxy=%s pid=%d version=%s compared", t->conf.socket, pid,
	    version);
	hold_changed(t->hold);
}

void
held_push(struct held *x)
{
	struct hold *h = x->hold;
	char path[FILES_PATH_MAX], filter[DOMAIN_NAME_MAX];

	files_path(h->files, x->name, path);
	files_domain(x->name, filter);
	held_set_state(x, HELD_PUSHING);
	x->pushed = 0;
	held_set_error(x, NULL);
	loop_cancel(x->again);
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_want(h->target[i].push, path, x->sha1,
		    held_is_default(x) ? "" : filter);
	if (h->ntargets == 0)
		begin_proof(x);
}

void
held_unwant(const struct held *x)
{
	struct hold *h = x->hold;
	char path[FILES_PATH_MAX];

	files_path(h->files, x->name, path);
	for (unsigned int i = 0; i < h->ntargets; i++)
		push_unwant(h->target[i].push, path);
}
