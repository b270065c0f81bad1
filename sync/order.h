/* One certificate order, RFC 8555 section 7.1.6, as a pure state machine. */
#ifndef SYNC_ORDER_H
#define SYNC_ORDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define ORDER_NAMES_MAX 2
#define ORDER_CHAINS_MAX 4  /* alternates of a certificate's chain */
#define ORDER_TOKEN_MAX 129 /* 128 characters and a NUL */
#define ORDER_TXT_MAX 256   /* 255 characters and a NUL */

enum order_state {
	ORDER_NEW = 0,
	ORDER_AUTHZ,   /* look at an authorization, one after the other */
	ORDER_PRESENT, /* make its challenge answerable */
	ORDER_ANSWER,  /* tell the CA to look */
	ORDER_CHECK,   /* wait for the CA's verdict on the authorization */
	ORDER_POLL,    /* wait for the order */
	ORDER_FINALIZE,
	ORDER_DOWNLOAD,
	ORDER_DONE,
	/* must stay last */
	ORDER_STATES
};

struct authz {
	char *url;
	char *challenge_url;
	char *token;      /* of its challenge, NULL until that is known */
	const char *name; /* the one of the order's, NULL: not known yet */
	bool dns01;       /* its challenge is dns-01, else http-01 */
	bool valid;       /* nothing is left to do */
	bool present;     /* its challenge can be answered */
	bool answered;    /* the CA is looking already: not to be told again */
	/* A record that stays, dns-persist-01; NULL when not offered. */
	char *persist_url, *persist; /* persist: its TXT record */
	bool persist_answered;
	bool persists; /* it is the one that is used */
};

/* Zero is a new order; names and what is wanted of it are borrowed. */
struct order {
	enum order_state state;
	const char *names[ORDER_NAMES_MAX];
	size_t nnames;
	const char *replaces;  /* certificate (RFC 9773 section 5), or NULL */
	const char *profile;   /* or NULL: the CA's default */
	const char *preferred; /* chain, by its topmost's issuer, or NULL */
	const char *account;   /* our URL, when records that stay are wanted */
	bool
	    ari_renewal; /* replaces, inside the CA's window: no limit counts */
	struct authz authz[ORDER_NAMES_MAX];
	size_t nauthz;
	size_t current;  /* authorization being worked on */
	int64_t expires; /* it or an authorization, wall ms; 0: unknown */
	bool resumed;    /* we do not know what was done before */
	bool processing; /* the CA has taken a CSR, and is at work */
	char *url, *finalize, *certificate;
	char *csr;   /* base64url DER; set by the driver before FINALIZE */
	char *chain; /* PEM, once downloaded */
	char *alternate[ORDER_CHAINS_MAX]; /* URLs of other chains */
	size_t nalternates, alternates_seen;
	int64_t wait_ms;  /* what the CA asked for, 0: our own pace */
	int64_t first_ms; /* wait before the first look, 0: the usual */
	unsigned int polls;
};

/* What the order wants done next; the driver does it and reports back. */
enum ask_what {
	ASK_NOTHING = 0, /* the order is done */
	ASK_POST,        /* send a signed request */
	ASK_PUBLISH,     /* make order_authz()'s token answerable everywhere; of
	                  * dns-01 all that are neither valid nor answered */
	ASK_CSR,         /* a key is needed: journal it, set csr, order_got() */
};

struct ask {
	enum ask_what what;
	const char *url;  /* borrowed from the order; "newOrder": resource */
	json_t *payload;  /* owned by the caller; NULL: POST-as-GET */
	int64_t delay_ms; /* not before */
};

/* What came back. */
struct reply {
	int status;
	const char *location; /* "" if absent */
	const char *link;     /* all of them, NULL or "" if absent */
	json_t *body;         /* NULL unless JSON; borrowed */
	const char *text;     /* the body as it came */
	size_t len;
	int64_t retry_ms; /* Retry-After, 0: absent */
};

const char *order_state_name(enum order_state);

/* The next thing to do.  Fails with ERR_BUG when the CA left something out. */
int order_ask(struct order *, struct ask *, struct err *);

/*
 * Take the reply to what was asked (for ASK_PUBLISH and ASK_CSR: done, reply
 * NULL).  ERR_REFUSED carries the CA's own sentence about the challenge.
 */
int order_got(struct order *, const struct reply *, struct err *);

/*
 * The CA refused what was asked.  True when the order can go on without it:
 * without "replaces", which says nothing about the new certificate, or with the
 * chain there is.
 */
bool order_refused(struct order *, const struct err *);

/*
 * Is the order validated by dns-01?  It is when one of its names is a wildcard,
 * which nothing else can prove, and then for all of them.
 */
bool order_dns01(const struct order *);

/*
 * Before ASK_PUBLISH is reported: can it be proven by TXT records that stay for
 * good (dns-persist-01), and then: it shall be.
 */
bool order_can_persist(const struct order *);
void order_persist(struct order *);

/* The authorization being worked on. */
const struct authz *order_authz(const struct order *);

/* After loading url from the journal: ask the CA where the order is. */
void order_resume(struct order *);

/* The chain of a finished order is no good: ask for it once more. */
void order_refetch(struct order *);
void order_clear(struct order *);

#endif
