/*
 * What the webhook*.c files share: webhook.c reads the streams and knows how far
 * we are, webhook_send.c delivers the first event of each.  Private to them.
 */
#ifndef SYNC_WEBHOOK_IMPL_H
#define SYNC_WEBHOOK_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/conf.h"
#include "common/domain.h"
#include "sync/gens.h"
#include "sync/http.h"
#include "sync/store.h"
#include "sync/webhook.h"
#include "sync/webhook_event.h"

#define ID_MAX 48

/* One event, as it will be sent. */
struct hook {
	STAILQ_ENTRY(hook) next;
	char id[ID_MAX]; /* in the stream */
	char name[WEBHOOK_NAME_MAX];
	const char *status;
	char domain[DOMAIN_NAME_MAX];
	char *body; /* NULL: its app is still to be asked for, or unwanted */
	bool wanted;
	size_t nfields;
	char **field; /* as the stream has them */
};

/* The stream of one partition. */
struct part {
	struct webhooks *w;
	int number;
	char cursor[ID_MAX]; /* delivered up to; "" : not known */
	bool asking;         /* Redis */
	STAILQ_HEAD(, hook) hooks;
	uint64_t sending;
	int64_t attempts; /* of the first hook, that failed */
	struct event *again;
};

struct webhooks {
	struct event_base *base;
	const struct conf *conf;
	struct store *store;
	struct http *http;
	struct event *look;
	int64_t epoch; /* 0: asleep */
	int nparts;
	struct part part[GENS_MAX]; /* nparts of them are used */
};

/* Deliver what is there, or ask for more. */
void webhook_go_on(struct part *);

/* Deliver the first, a struct part. */
void webhook_send_first(void *part);

/* The first is done with. */
void webhook_drop_first(struct part *);

/* What is not wanted is passed over, and written down with what follows. */
void webhook_skip(struct part *);

/* Write down how far we are. */
void webhook_note(struct part *);

/* Redis is away, or another node leads: then we are told to stop. */
void webhook_try_later(struct part *, const struct err *);

#endif
