/* Answers of Route 53: errors whose meaning is not their HTTP status. */
#ifndef PROVIDERS_ROUTE53_REPLY_H
#define PROVIDERS_ROUTE53_REPLY_H

#include "providers/step.h"
#include "providers/xml.h"

/* An error: its code, its message, and what it is in terms of HTTP. */
struct route53_problem {
	char code[64];
	char text[STEP_SAID_MAX * 2];
	int status; /* 409: somebody was faster; 429: throttled; 401: who? */
};

void route53_problem(const struct http_msg_res *, struct route53_problem *);

/* Turn it into a sentence; always returns -1. */
int route53_refused(const struct txt_record *, const struct http_msg_res *,
    const struct route53_problem *, struct err *);

/* The answer's root element, NULL with err; the caller frees it. */
struct xml_node *route53_unwrap(const struct txt_record *,
    const struct http_msg_res *, const char *name, struct err *);

#endif
