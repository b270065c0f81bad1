#include "haproxy/handshake.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/util.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/crypto.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/str.h"

#define HANDSHAKE_MAGIC 0x68616e64u
#define SHA1_LEN 20

/* Lives from handshake_start() until fn was called or it was cancelled. */
struct handshake {
	unsigned int magic;
	struct bufferevent *bev;
	struct event *timer; /* the deadline, or the error of the start */
	handshake_fn *fn;
	void *arg;
	struct err e;
	char *address; /* for the error's text */
	char *name;
};

static void on_event(struct bufferevent *, short what, void *arg);
static void on_failed(void *arg);
static void on_deadline(void *arg);

/* Whoever wants to know compares the leaf: no chain has to be built. */
static int
judge_nothing(X509_STORE_CTX *store, void *arg)
{
	(void)store, (void)arg;
	return 1;
}

/* One for all: making it costs more than a handshake. */
static SSL_CTX *
context(void)
{
	static SSL_CTX *ctx;

	if (ctx == NULL) {
		ctx =
		    SSL_CTX_new_ex(crypto_context(), NULL, TLS_client_method());
		if (ctx == NULL)
			abort();
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		SSL_CTX_set_cert_verify_callback(ctx, judge_nothing, NULL);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		/* What is served is to be seen, however weak it is. */
		SSL_CTX_set_security_level(ctx, 0);
	}
	return ctx;
}

/* sigalgs: the signatures that are taken; NULL: all. */
static int
start(struct handshake *h, struct event_base *base, char *sigalgs)
{
	struct sockaddr_storage to;
	int to_len = sizeof(to);
	SSL *ssl;

	if (evutil_parse_sockaddr_port(
		h->address, (struct sockaddr *)&to, &to_len) == -1)
		return err_set(&h->e, ERR_CONFIG,
		    "\"%s\" is not an address; it must be like 127.0.0.1:443 "
		    "or [::1]:443",
		    h->address);
	ssl = SSL_new(context());
	if (ssl == NULL || SSL_set_tlsext_host_name(ssl, h->name) != 1 ||
	    (sigalgs != NULL && SSL_set1_sigalgs_list(ssl, sigalgs) != 1)) {
		SSL_free(ssl);
		return err_set(&h->e, ERR_BUG,
		    "\"%s\" cannot be asked for in a handshake", h->name);
	}
	h->bev = bufferevent_openssl_socket_new(base, -1, ssl,
	    BUFFEREVENT_SSL_CONNECTING,
	    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (h->bev == NULL) {
		SSL_free(ssl);
		return err_set(&h->e, ERR_AGAIN, "no handshake with %s: %s",
		    h->address, strerror(errno));
	}
	bufferevent_setcb(h->bev, NULL, NULL, on_event, h);
	/* It also reports its failure to on_event(). */
	(void)bufferevent_socket_connect(
	    h->bev, (struct sockaddr *)&to, to_len);
	return 0;
}

static struct handshake *
begin(struct event_base *base, const char *address, const char *name,
    int timeout_ms, char *sigalgs, handshake_fn *fn, void *arg)
{
	struct handshake *h = xcalloc(1, sizeof(*h));

	h->magic = HANDSHAKE_MAGIC;
	h->fn = fn;
	h->arg = arg;
	h->address = xstrdup(address);
	h->name = xstrdup(name);
	if (start(h, base, sigalgs) == -1)
		loop_after(base, &h->timer, 0, on_failed, h);
	else
		loop_after(base, &h->timer, timeout_ms, on_deadline, h);
	return h;
}

struct handshake *
handshake_start(struct event_base *base, const char *address, const char *name,
    int timeout_ms, handshake_fn *fn, void *arg)
{
	return begin(base, address, name, timeout_ms, NULL, fn, arg);
}

struct handshake *
handshake_start_rsa(struct event_base *base, const char *address,
    const char *name, int timeout_ms, handshake_fn *fn, void *arg)
{
	/* Not const, as OpenSSL's macro has it. */
	static char rsa_only[] =
	    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
	    "RSA+SHA256:RSA+SHA384:RSA+SHA512";

	return begin(base, address, name, timeout_ms, rsa_only, fn, arg);
}

void
handshake_cancel(struct handshake *h)
{
	SSL *ssl;

	assert(h->magic == HANDSHAKE_MAGIC);
	h->magic = 0;
	loop_timer_free(&h->timer);
	if (h->bev != NULL) {
		/* No farewell: the server would log it as an error. */
		ssl = bufferevent_openssl_get_ssl(h->bev);
		SSL_set_quiet_shutdown(ssl, 1);
		bufferevent_free(h->bev);
	}
	free(h->address);
	free(h->name);
	free(h);
}

/* The handle is gone before fn hears of it: it may start the next one. */
static void
finish(struct handshake *h, const char *sha1)
{
	handshake_fn *fn = h->fn;
	void *arg = h->arg;
	struct err e = h->e;

	handshake_cancel(h);
	fn(arg, sha1, sha1 != NULL ? NULL : &e);
}

static void
on_failed(void *arg)
{
	struct handshake *h = arg;

	assert(h->magic == HANDSHAKE_MAGIC);
	finish(h, NULL);
}

static void
on_deadline(void *arg)
{
	struct handshake *h = arg;

	assert(h->magic == HANDSHAKE_MAGIC);
	err_set(&h->e, ERR_AGAIN, "%s does not answer a handshake for %s",
	    h->address, h->name);
	finish(h, NULL);
}

/* OpenSSL's reason if there is one, else that of the socket. */
static void
set_reason(struct handshake *h)
{
	unsigned long code = bufferevent_get_openssl_error(h->bev);
	const char *reason = ERR_reason_error_string(code);
	int sock = EVUTIL_SOCKET_ERROR();

	if (code == 0 || reason == NULL)
		reason = sock != 0 ? evutil_socket_error_to_string(sock)
		                   : "connection closed";
	err_set(&h->e, ERR_AGAIN, "no handshake with %s for %s: %s", h->address,
	    h->name, reason);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct handshake *h = arg;
	uint8_t digest[EVP_MAX_MD_SIZE];
	char sha1[2 * SHA1_LEN + 1];
	X509 *leaf;

	assert(h->magic == HANDSHAKE_MAGIC);
	if (!(what & BEV_EVENT_CONNECTED)) {
		set_reason(h);
		finish(h, NULL);
		return;
	}
	leaf = SSL_get1_peer_certificate(bufferevent_openssl_get_ssl(bev));
	if (leaf == NULL || X509_digest(leaf, EVP_sha1(), digest, NULL) != 1) {
		X509_free(leaf);
		err_set(&h->e, ERR_AGAIN, "%s serves no certificate for %s",
		    h->address, h->name);
		finish(h, NULL);
		return;
	}
	X509_free(leaf);
	str_hex(sha1, digest, SHA1_LEN);
	finish(h, sha1);
}
