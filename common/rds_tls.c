#include "common/rds_tls.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "common/str.h"

static bool
given(const char *setting)
{
	return setting != NULL && setting[0] != '\0';
}

/* A file that OpenSSL does not take, with its last and most exact reason. */
static int
refused_file(struct err *e, const char *what, const char *path)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	err_set(e, ERR_CONFIG, "%s %s cannot be used: %s", what, path,
	    why != NULL ? why : strerror(errno));
	ERR_clear_error();
	return -1;
}

static int
configure(SSL_CTX *ctx, const struct rds_conf *conf, struct err *e)
{
	const char *key;

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	if (!given(conf->ca_file)) {
		if (SSL_CTX_set_default_verify_paths(ctx) != 1)
			return refused_file(e, "the system's", "CA store");
	} else if (SSL_CTX_load_verify_file(ctx, conf->ca_file) != 1) {
		return refused_file(e, "redis ca_file", conf->ca_file);
	}
	if (!given(conf->cert_file))
		return 0;
	key = given(conf->key_file) ? conf->key_file : conf->cert_file;
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->cert_file) != 1)
		return refused_file(e, "redis cert_file", conf->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return refused_file(e, "redis key_file", key);
	return 0;
}

SSL_CTX *
rds_tls_context(const struct rds_conf *conf, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL) {
		rds_tls_why(NULL, -1, "", e);
		return NULL;
	}
	if (configure(ctx, conf, e) == -1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

SSL *
rds_tls_new(SSL_CTX *ctx, const char *name, int fd, struct err *e)
{
	SSL *ssl = SSL_new(ctx);
	char sni[254]; /* OpenSSL's macro takes no const */
	int ok;

	if (ssl == NULL) {
		rds_tls_why(NULL, -1, name, e);
		return NULL;
	}
	/* An address is verified as one, and RFC 6066 wants none in SNI. */
	ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
	if (ok != 1)
		ok = str_copy(sni, sizeof(sni), name, e) == 0 &&
		     SSL_set1_host(ssl, name) == 1 &&
		     SSL_set_tlsext_host_name(ssl, sni) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!ok || SSL_set_fd(ssl, fd) != 1) {
		rds_tls_why(NULL, -1, name, e);
		SSL_free(ssl);
		return NULL;
	}
	ERR_clear_error();
	SSL_set_connect_state(ssl);
	return ssl;
}

int
rds_tls_why(const SSL *ssl, int rc, const char *name, struct err *e)
{
	int saved = errno, what = SSL_ERROR_SSL;
	long verdict = X509_V_OK;
	unsigned long last = ERR_peek_last_error();
	const char *why = ERR_reason_error_string(last);

	if (ssl != NULL) {
		what = SSL_get_error(ssl, rc);
		verdict = SSL_get_verify_result(ssl);
	}
	ERR_clear_error();
	if (verdict != X509_V_OK)
		return err_set(e, ERR_CONFIG,
		    "the certificate of Redis is not good for %s: %s", name,
		    X509_verify_cert_error_string(verdict));
	if (what == SSL_ERROR_ZERO_RETURN ||
	    (what == SSL_ERROR_SYSCALL && saved == 0))
		return err_set(e, ERR_AGAIN, "Redis closed the connection");
	if (what == SSL_ERROR_SYSCALL)
		return err_set(
		    e, ERR_AGAIN, "connection to Redis: %s", strerror(saved));
	/* An alert is the server's word: it does not like what we are. */
	return err_set(e,
	    ERR_GET_LIB(last) == ERR_LIB_SSL &&
		    ERR_GET_REASON(last) >= SSL_AD_REASON_OFFSET
		? ERR_CONFIG
		: ERR_AGAIN,
	    "TLS with Redis: %s", why != NULL ? why : "unknown error");
}
