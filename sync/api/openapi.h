/* The API's description, OpenAPI 3.1: sync/api/openapi.json. */
#ifndef SYNC_API_OPENAPI_H
#define SYNC_API_OPENAPI_H

#include <stddef.h>

extern const char openapi_json[]; /* ends in a NUL */
size_t openapi_size(void);

#endif
