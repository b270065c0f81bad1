#include "common/rds_url.h"

#include <string.h>

#include "common/rds.h"
#include "common/str.h"

#define PORT "6379"
#define FORMS "unix:/path, redis://host[:port] or rediss://host[:port]"
#define HOST_CHARS \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:"

/* The text is not quoted: somebody may have put a password into it. */
static int
misread(struct err *e, const char *why)
{
	return err_set(e, ERR_CONFIG, "Redis URL %s; it should be " FORMS, why);
}

static int
parse_unix(struct rds_url *u, const char *path, struct err *e)
{
	struct err ignored;

	u->is_unix = true;
	if (path[0] != '/')
		return misread(e, "has no absolute path");
	if (str_copy(u->path, sizeof(u->path), path, &ignored) == -1)
		return misread(e, "has a path of more than 107 characters");
	return 0;
}

static int
parse_host(struct rds_url *u, const char *text, struct err *e)
{
	size_t bracket = text[0] == '[' ? 1 : 0, n;
	const char *host = text + bracket, *rest;
	struct err ignored;
	int64_t port;

	n = strcspn(host, bracket ? "]/" : ":/");
	rest = host + n;
	if (bracket) {
		if (*rest != ']')
			return misread(e, "has \"[\" without \"]\"");
		rest++;
	}
	if (n == 0 || n >= sizeof(u->host) || !str_only(host, n, HOST_CHARS))
		return misread(e, "has no host name");
	memcpy(u->host, host, n);
	u->host[n] = '\0';
	memcpy(u->port, PORT, sizeof(PORT));
	if (*rest == '\0' || strcmp(rest, "/") == 0)
		return 0;
	if (*rest != ':')
		return misread(e, "ends in something that is not a port "
				  "(a database number is a setting)");
	rest++;
	if (str_int(rest, 1, 65535, &port) == -1 ||
	    str_copy(u->port, sizeof(u->port), rest, &ignored) == -1)
		return misread(e, "has a port that is not one");
	return 0;
}

int
rds_url_parse(struct rds_url *u, const char *text, struct err *e)
{
	const char *host = NULL;

	memset(u, 0, sizeof(*u));
	if (text == NULL || text[0] == '\0')
		return misread(e, "is empty");
	if (str_has_prefix(text, "unix:"))
		return parse_unix(u, text + strlen("unix:"), e);
	if (str_has_prefix(text, "redis://"))
		host = text + strlen("redis://");
	if (str_has_prefix(text, "rediss://")) {
		host = text + strlen("rediss://");
		u->is_tls = true;
	}
	if (host == NULL)
		return misread(e, "begins with none of the known forms");
	if (strchr(host, '@') != NULL)
		return misread(e, "has a user or password in it (they are "
				  "settings of their own)");
	return parse_host(u, host, e);
}

int
rds_url_check(const char *url, struct err *e)
{
	struct rds_url u;

	return rds_url_parse(&u, url, e);
}
