#include "common/rds_slots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/rds_url.h"
#include "common/str.h"

/* CRC-16/XMODEM, as the specification of Redis Cluster wants it. */
static uint16_t
crc16(const char *p, size_t len)
{
	unsigned int crc = 0;

	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned int)(unsigned char)p[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
	}
	return (uint16_t)crc;
}

int
rds_slot(const char *key, size_t len)
{
	const char *open = memchr(key, '{', len), *close = NULL;

	if (open != NULL)
		close = memchr(open, '}', len - (size_t)(open - key));
	if (close != NULL && close > open + 1) {
		key = open + 1;
		len = (size_t)(close - key);
	}
	return crc16(key, len) % RDS_SLOTS;
}

int
rds_slot_of(const struct rds_cmd *c)
{
	static const char *const without[] = { "TIME", "PUBLISH", "PING",
		"ASKING", "CLUSTER" };
	size_t at = 1;

	if (c->at != NULL)
		return rds_slot(c->at, strlen(c->at));
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
		if (strcmp(c->argv[0], without[i]) == 0)
			return RDS_SLOT_ANY;
	/* FCALL function number-of-keys key... */
	if (str_has_prefix(c->argv[0], "FCALL"))
		at = c->argc > 2 && strcmp(c->argv[2], "0") != 0 ? 3 : c->argc;
	return at < c->argc ? rds_slot(c->argv[at], c->len[at]) : RDS_SLOT_ANY;
}

/* --- who has them ---------------------------------------------------------- */

const char *
rds_slots_url(const struct rds_slots *s, int slot)
{
	return s->owner[slot] > 0 ? s->url[s->owner[slot] - 1] : NULL;
}

/* 1..n; 0: there is none. */
static uint8_t
number_of(const struct rds_slots *s, const char *url)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->url[i], url) == 0)
			return (uint8_t)(i + 1);
	return 0;
}

bool
rds_slots_has(const struct rds_slots *s, const char *url)
{
	return number_of(s, url) > 0;
}

static uint8_t
add(struct rds_slots *s, const char *url)
{
	uint8_t number = number_of(s, url);

	if (number > 0 || s->n == RDS_MASTERS_MAX)
		return number;
	memcpy(s->url[s->n], url, strlen(url) + 1);
	return (uint8_t)++s->n;
}

void
rds_slots_set(struct rds_slots *s, int slot, const char *url)
{
	uint8_t number = add(s, url);

	if (number > 0)
		s->owner[slot] = number;
}

/* No host, or "?": the one that was asked. */
static int
url_of(char url[RDS_URL_MAX], const char *host, const char *port,
    const char *asked, bool tls)
{
	struct rds_url from;
	struct err e;

	if (host[0] == '\0' || strcmp(host, "?") == 0) {
		if (rds_url_parse(&from, asked, &e) == -1 || from.is_unix)
			return -1;
		return rds_place_format(url, tls, from.host, port);
	}
	return rds_place_format(url, tls, host, port);
}

/* [first, last, [host, port, ...], replicas...] */
static int
read_range(
    struct rds_slots *s, const struct rds_reply *r, const char *asked, bool tls)
{
	const struct rds_reply *master = &r->item[2];
	char url[RDS_URL_MAX], port[24];

	if (r->type != RDS_ARRAY || r->nitems < 3 ||
	    r->item[0].type != RDS_INTEGER || r->item[1].type != RDS_INTEGER ||
	    r->item[0].integer < 0 || r->item[1].integer >= RDS_SLOTS ||
	    master->type != RDS_ARRAY || master->nitems < 2 ||
	    master->item[1].type != RDS_INTEGER ||
	    master->item[1].integer < 1 || master->item[1].integer > 65535)
		return -1;
	snprintf(port, sizeof(port), "%d", (int)master->item[1].integer);
	if (url_of(url,
		master->item[0].type == RDS_STRING ? master->item[0].str : "",
		port, asked, tls) == -1)
		return -1;
	for (int i = (int)r->item[0].integer; i <= (int)r->item[1].integer; i++)
		rds_slots_set(s, i, url);
	return 0;
}

int
rds_slots_read(struct rds_slots *s, const struct rds_reply *r,
    const char *asked, bool tls, struct err *e)
{
	struct rds_slots *fresh;
	int rc = 0;

	if (r->type != RDS_ARRAY)
		return err_set(e, ERR_BUG, "CLUSTER SLOTS answers nonsense");
	if (r->nitems == 0)
		return err_set(e, ERR_AGAIN,
		    "the Cluster of %s has given out no slots yet", asked);
	fresh = xcalloc(1, sizeof(*fresh));
	for (size_t i = 0; i < r->nitems && rc == 0; i++)
		rc = read_range(fresh, &r->item[i], asked, tls);
	if (rc == 0)
		*s = *fresh;
	free(fresh);
	if (rc == -1)
		return err_set(e, ERR_BUG, "CLUSTER SLOTS answers nonsense");
	return 0;
}

int
rds_redirect_parse(
    struct rds_redirect *d, const char *text, const char *asked, bool tls)
{
	const char *space = strchr(text, ' '), *colon = strrchr(text, ':');
	char host[RDS_URL_MAX], slot[8];
	int64_t number, port;
	size_t len;

	if (space == NULL || colon == NULL || colon < space ||
	    (size_t)(space - text) >= sizeof(slot))
		return -1;
	memcpy(slot, text, (size_t)(space - text));
	slot[space - text] = '\0';
	len = (size_t)(colon - space) - 1;
	if (str_int(slot, 0, RDS_SLOTS - 1, &number) == -1 ||
	    str_int(colon + 1, 1, 65535, &port) == -1 || len >= sizeof(host))
		return -1;
	memcpy(host, space + 1, len);
	host[len] = '\0';
	d->slot = (int)number;
	return url_of(d->url, host, colon + 1, asked, tls);
}
