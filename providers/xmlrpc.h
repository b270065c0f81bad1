/*
 * XML-RPC (http://xmlrpc.com/spec.md) with JSON for the values: integers,
 * strings, arrays and structs mean the same there.
 */
#ifndef PROVIDERS_XMLRPC_H
#define PROVIDERS_XMLRPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

/*
 * Append the call of a method, with a string (a key) before its parameters.
 * Return 0, or -1 when it does not fit.
 */
int xmlrpc_put_call(
    struct buf *, const char *method, const char *first, json_t *params);

/*
 * The value of a response, the caller owns it; nil is null, dates and
 * fractions stay text.  A fault is {"faultCode", "faultString"} and sets
 * *fault.  NULL when it is no response.
 */
json_t *xmlrpc_response(const char *, size_t len, bool *fault);

#endif
