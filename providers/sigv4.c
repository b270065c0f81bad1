#include "providers/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/mem.h"

#define HASH_LEN 32
#define HEX_SIZE (2 * HASH_LEN + 1)
#define PIECES_MAX 32
#define CANONICAL_MAX (64 * 1024)
#define SIGNED_HEADERS "host;x-amz-date"

/* name=value of a query, as it stands in the URL. */
struct piece {
	const char *name, *value;
	size_t name_len, value_len;
};

static void
hex(char dst[static HEX_SIZE], const uint8_t src[static HASH_LEN])
{
	for (size_t i = 0; i < HASH_LEN; i++)
		snprintf(dst + 2 * i, 3, "%02x", src[i]);
}

static void
hash_hex(char dst[static HEX_SIZE], const void *src, size_t len)
{
	uint8_t hash[EVP_MAX_MD_SIZE];

	if (EVP_Digest(src, len, hash, NULL, EVP_sha256(), NULL) != 1)
		abort();
	hex(dst, hash);
}

static void
mac(uint8_t dst[static EVP_MAX_MD_SIZE], const void *key, size_t key_len,
    const char *text)
{
	unsigned int len = 0;

	if (HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text,
		strlen(text), dst, &len) == NULL)
		abort();
}

static int
compare_spans(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int rc = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return rc != 0 ? rc : (a_len > b_len) - (a_len < b_len);
}

static int
by_name_then_value(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	int rc = compare_spans(x->name, x->name_len, y->name, y->name_len);

	if (rc != 0)
		return rc;
	return compare_spans(x->value, x->value_len, y->value, y->value_len);
}

static int
canonical_query(const char *query, struct buf *out)
{
	struct piece piece[PIECES_MAX];
	size_t n = 0;
	int rc = 0;

	while (*query != '\0') {
		size_t len = strcspn(query, "&");
		size_t name_len = strcspn(query, "=&");
		size_t eq = name_len < len;

		if (n == PIECES_MAX)
			return -1;
		if (len > 0)
			piece[n++] =
			    (struct piece){ query, query + name_len + eq,
				    name_len, len - name_len - eq };
		query += len + (query[len] == '&');
	}
	qsort(piece, n, sizeof(piece[0]), by_name_then_value);
	for (size_t i = 0; i < n; i++)
		rc |= buf_putf(out, "%s%.*s=%.*s", i > 0 ? "&" : "",
		    (int)piece[i].name_len, piece[i].name,
		    (int)piece[i].value_len, piece[i].value);
	return rc;
}

/* Each segment is encoded once more than in the URL. */
static int
canonical_path(const char *path, size_t len, struct buf *out)
{
	if (len == 0)
		return buf_puts(out, "/");
	for (size_t i = 0; i < len; i++)
		if (path[i] == '/' ? buf_puts(out, "/") == -1
				   : http_msg_encode(out, path + i, 1) == -1)
			return -1;
	return 0;
}

int
sigv4_canonical(const struct http_msg_req *req,
    const char date[static SIGV4_TIME_SIZE], struct buf *out)
{
	const char *host = strstr(req->url.p, "://"), *path, *query;
	size_t host_len, path_len;
	char body[HEX_SIZE];

	if (host == NULL)
		return -1;
	host += strlen("://");
	host_len = strcspn(host, "/?");
	path = host + host_len;
	path_len = strcspn(path, "?");
	query = path + path_len + (path[path_len] == '?');
	hash_hex(body, req->body.p, req->body.len);
	if (buf_putf(out, "%s\n", req->method) == -1 ||
	    canonical_path(path, path_len, out) == -1 ||
	    buf_puts(out, "\n") == -1 || canonical_query(query, out) == -1)
		return -1;
	return buf_putf(out,
	    "\nhost:%.*s\nx-amz-date:%s\n\n" SIGNED_HEADERS "\n%s",
	    (int)host_len, host, date, body);
}

static void
signature(const struct sigv4 *s, const char *date, const char *scope,
    const struct buf *canonical, char dst[static HEX_SIZE])
{
	uint8_t key[2][EVP_MAX_MD_SIZE];
	char *secret = xasprintf("AWS4%s", s->secret), *text;
	char hash[HEX_SIZE], day[9];

	hash_hex(hash, canonical->p, canonical->len);
	text = xasprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
	snprintf(day, sizeof(day), "%.8s", date);
	mac(key[0], secret, strlen(secret), day);
	mac(key[1], key[0], HASH_LEN, s->region);
	mac(key[0], key[1], HASH_LEN, s->service);
	mac(key[1], key[0], HASH_LEN, "aws4_request");
	mac(key[0], key[1], HASH_LEN, text);
	hex(dst, key[0]);
	mem_wipe(key, sizeof(key));
	mem_wipe_free(secret);
	free(text);
}

int
sigv4_sign(const struct sigv4 *s, int64_t now_s, struct http_msg_req *req,
    struct err *e)
{
	char date[SIGV4_TIME_SIZE], hash[HEX_SIZE], *scope;
	time_t now = (time_t)now_s;
	struct tm tm = { 0 };
	struct buf canonical;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	buf_init(&canonical, CANONICAL_MAX);
	if (sigv4_canonical(req, date, &canonical) == -1) {
		buf_clear(&canonical);
		return err_set(
		    e, ERR_BUG, "cannot sign a request to %.100s", req->url.p);
	}
	scope =
	    xasprintf("%.8s/%s/%s/aws4_request", date, s->region, s->service);
	signature(s, date, scope, &canonical, hash);
	http_msg_header(req, "X-Amz-Date: %s", date);
	http_msg_header(req,
	    "Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, "
	    "SignedHeaders=" SIGNED_HEADERS ", Signature=%s",
	    s->key_id, scope, hash);
	free(scope);
	buf_clear(&canonical);
	return 0;
}
