#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/ca_impl.h"

#define DIRECTORY_AGE_MS (24 * 3600 * 1000LL)
#define DIRECTORY_AGAIN_MS (300 * 1000) /* when the old one still serves */

/*
 * What a signed request needs before it can go, each fetched once for all that
 * wait: the directory, the account's URL, nonces.
 */

static void
fetch(struct ca *ca, struct fetch *f, const char *method, const char *url,
    http_fn *fn)
{
	f->ca = ca;
	f->sent_ms = loop_now_ms();
	f->http_id = ca_send(ca, method, url, NULL, fn, f);
}

/* --- the directory -------------------------------------------------------- */

static int
take_directory(struct ca *ca, const struct http_res *res, struct err *e)
{
	struct acme_directory d = { 0 };
	json_t *body = ca_json(res);
	int rc;

	rc = ca_judge(res, body, false, e);
	if (rc == 0) {
		rc = acme_directory_parse(&d, body, e);
		/* A web page, say: the URL is wrong, or something is before. */
		if (rc == -1)
			e->kind = ERR_CONFIG;
	}
	json_decref(body);
	if (rc == -1) {
		acme_directory_clear(&d);
		return -1;
	}
	acme_directory_clear(&ca->directory);
	ca->directory = d;
	ca->has_directory = true;
	ca->directory_until = loop_now_ms() + DIRECTORY_AGE_MS;
	return 0;
}

static void
on_directory(void *arg, const struct http_res *res, const struct err *e)
{
	struct fetch *f = arg;
	struct ca *ca = f->ca;
	struct err why;

	f->http_id = 0;
	if (res != NULL) {
		ca_note(ca, "GET", ca->at.directory, res, f->sent_ms);
		if (take_directory(ca, res, &why) == 0) {
			ca_advance_soon(ca);
			return;
		}
	} else {
		why = *e;
	}
	err_prefix(&why, "directory of the CA");
	if (ca->has_directory) {
		log_warn("ca=%s: %s; the old one is used", ca->at.directory,
		    why.text);
		ca->directory_until = loop_now_ms() + DIRECTORY_AGAIN_MS;
		ca_advance_soon(ca);
		return;
	}
	ca_fail_all(ca, &why);
}

bool
ca_need_directory(struct ca *ca)
{
	struct err e;

	if (ca->has_directory && loop_now_ms() < ca->directory_until)
		return false;
	if (ca->directory_fetch.http_id != 0)
		return true;
	if (ca_check_url(ca, ca->at.directory, &e) == -1) {
		e.kind = ERR_CONFIG;
		ca_fail_all(ca, &e);
		return true;
	}
	fetch(ca, &ca->directory_fetch, "GET", ca->at.directory, on_directory);
	return true;
}

/* --- the account ---------------------------------------------------------- */

void
ca_set_kid(struct ca *ca, const char *url)
{
	free(ca->kid);
	ca->kid = url != NULL && url[0] != '\0' ? xstrdup(url) : NULL;
	ca->kid_count++;
}

/* Section 7.3: 201 for a new one, 200 for one that the key had already. */
static int
take_account(struct ca *ca, const struct reply *r, struct err *e)
{
	const char *status = acme_status(r->body);

	if (status[0] != '\0' && strcmp(status, "valid") != 0)
		return err_set(e, ERR_CONFIG,
		    "the account was closed at the CA; make a new account key");
	if (r->location[0] == '\0')
		return err_set(e, ERR_BUG, "CA gave no URL of the account");
	if (ca_check_url(ca, r->location, e) == -1)
		return -1;
	ca_set_kid(ca, r->location);
	log_info("ca=%s account=%s", ca->at.directory, ca->kid);
	return 0;
}

void
ca_account_done(struct ca *ca, const struct reply *r, const struct err *e)
{
	struct err why;

	ca->account = NULL;
	if (r != NULL && take_account(ca, r, &why) == 0) {
		ca_advance_soon(ca);
		ca->account_fn(ca->account_arg, ca->kid);
		return;
	}
	if (e != NULL)
		why = *e;
	if (ca->at.eab_kid != NULL && ca->at.eab_kid[0] != '\0' &&
	    why.kind != ERR_AGAIN && why.kind != ERR_LIMITED)
		err_prefix(
		    &why, "account at the CA, with eab_kid and eab_hmac_key");
	else
		err_prefix(&why, "account at the CA");
	ca_fail_all(ca, &why);
}

/* What must be true before we ask for an account. */
static int
may_register(const struct ca *ca, struct err *e)
{
	const struct acme_directory *d = &ca->directory;

	if (d->terms != NULL && !ca->at.agree_tos)
		return err_set(e, ERR_CONFIG,
		    "the CA's terms of service must be agreed to: read %s, "
		    "then set agree_tos",
		    d->terms);
	if (d->eab_required &&
	    (ca->at.eab_kid == NULL || ca->at.eab_kid[0] == '\0'))
		return err_set(e, ERR_CONFIG,
		    "the CA wants an external account: set eab_kid and "
		    "eab_hmac_key");
	return 0;
}

bool
ca_need_account(struct ca *ca)
{
	json_t *payload = NULL;
	struct err e;

	if (ca->kid != NULL)
		return false;
	if (ca->account != NULL)
		return true;
	if (may_register(ca, &e) == 0)
		payload = acme_new_account(ca->key,
		    ca->directory.url[ACME_NEW_ACCOUNT], ca->at.contact,
		    ca->at.agree_tos, ca->at.eab_kid, ca->at.eab_hmac_key, &e);
	if (payload == NULL)
		ca_fail_all(ca, &e);
	else
		ca->account = ca_call_new(ca, "newAccount", payload);
	return true;
}

/* --- nonces --------------------------------------------------------------- */

static void
on_nonce(void *arg, const struct http_res *res, const struct err *e)
{
	struct fetch *f = arg;
	struct ca *ca = f->ca;
	struct err why;

	f->http_id = 0;
	if (res != NULL) {
		ca_note(ca, "HEAD", "newNonce", res, f->sent_ms);
		if (acme_nonce_valid(res->replay_nonce)) {
			ca_advance_soon(ca);
			return;
		}
		if (ca_judge(res, NULL, false, &why) == 0)
			err_set(&why, ERR_BUG, "CA gave no nonce");
	} else {
		why = *e;
	}
	err_prefix(&why, "nonce of the CA");
	ca_fail_all(ca, &why);
}

/* Ask for as many as are wanted, a few at a time (section 7.2). */
void
ca_need_nonces(struct ca *ca, size_t wanted)
{
	const char *url = ca->directory.url[ACME_NEW_NONCE];
	struct err e;

	if (wanted > 0 && ca_check_url(ca, url, &e) == -1) {
		ca_fail_all(ca, &e);
		return;
	}
	for (size_t i = 0; i < CA_NONCE_REQUESTS_MAX && i < wanted; i++)
		if (ca->nonce_fetch[i].http_id == 0)
			fetch(ca, &ca->nonce_fetch[i], "HEAD", url, on_nonce);
}
