#include "sync/api/site.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/str.h"

#define HOST_MAX 262 /* a name, a colon, a port */

/* The host without its port. */
static bool
without_port(const char *host, char *out, size_t size)
{
	size_t len =
	    host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	const char *port;

	if (len > strlen(host) || len >= size)
		return false;
	memcpy(out, host, len);
	out[len] = '\0';
	port = host + len;
	return *port == '\0' ||
	       (*port == ':' &&
		   strspn(port + 1, "0123456789") == strlen(port + 1));
}

/* Nobody else's DNS can say what these are. */
static bool
is_loopback(const char *host)
{
	char name[HOST_MAX];
	struct in_addr a;

	if (!without_port(host, name, sizeof(name)))
		return false;
	if (inet_pton(AF_INET, name, &a) == 1)
		return ntohl(a.s_addr) >> 24 == 127;
	return strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0;
}

/* "scheme://host:port/path" is on that host and port. */
static bool
url_on(const char *url, const char *host)
{
	const char *at = strstr(url, "://");
	size_t len;

	if (at == NULL)
		return false;
	at += 3;
	len = strcspn(at, "/");
	return len == strlen(host) && strncasecmp(at, host, len) == 0;
}

bool
site_host(const struct conf *conf, const char *host)
{
	if (is_loopback(host) || url_on(conf->api.url, host))
		return true;
	for (size_t i = 0; i < conf->api.hosts.n; i++)
		if (strcasecmp(conf->api.hosts.item[i], host) == 0)
			return true;
	return false;
}

bool
site_https(const struct conf *conf, const char *host)
{
	return str_has_prefix(conf->api.url, "https://") &&
	       url_on(conf->api.url, host);
}

bool
site_origin(const char *origin, const char *host, bool https)
{
	if (!str_has_prefix(origin, "https://") &&
	    (https || !str_has_prefix(origin, "http://")))
		return false;
	/* An origin has no path. */
	return strchr(strstr(origin, "://") + 3, '/') == NULL &&
	       url_on(origin, host);
}

bool
site_cookie(const char *header, const char *name, char *out, size_t size)
{
	size_t len = strlen(name), n;

	for (const char *p = header; *p != '\0';) {
		p += strspn(p, "; ");
		n = strcspn(p, ";");
		if (n > len && p[len] == '=' && strncmp(p, name, len) == 0) {
			if (n - len - 1 >= size)
				return false;
			memcpy(out, p + len + 1, n - len - 1);
			out[n - len - 1] = '\0';
			return true;
		}
		p += n;
	}
	return false;
}
