/* Calls of Gandi's XML-RPC API, and what a fault means. */
#ifndef PROVIDERS_GANDI_CALL_H
#define PROVIDERS_GANDI_CALL_H

#include "providers/provider.h"

/*
 * Build the call of a method; the key goes before its parameters.  Returns 0,
 * so that an ask can end with it.
 */
int gandi_call(const struct txt_record *, struct http_msg_req *,
    const char *method, json_t *stolen);

/*
 * The value of an answer, the caller owns it.  NULL when it is none; *status
 * is what a fault, which comes with 200, would be in HTTP.
 */
json_t *gandi_value(const struct txt_record *, const struct http_msg_res *,
    int *status, struct err *);

/* The numbers of zones and versions are kept as text. */
int gandi_number(const char *);
int gandi_zone(const struct txt_record *);

/* A record's value, in quotes mostly; "" when it has none. */
const char *gandi_value_of(json_t *record);

/*
 * The middle of a change was refused, as e says: that is the error, but what
 * was begun is put away first, in the step GANDI_DROP.
 */
int gandi_give_up(
    struct txt_record *, const struct http_msg_res *, struct err *e);

#endif
