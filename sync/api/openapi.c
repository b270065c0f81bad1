#include "sync/api/openapi.h"

#include "sync/api/request.h"

/* The path is from the top of the tree, where the compiler runs. */
__asm__(".pushsection .rodata\n"
	".globl openapi_json\n"
	".globl openapi_json_end\n"
	"openapi_json:\n"
	".incbin \"sync/api/openapi.json\"\n"
	"openapi_json_end:\n"
	".byte 0\n"
	".popsection\n");

extern const char openapi_json_end[];

size_t
openapi_size(void)
{
	return (size_t)(openapi_json_end - openapi_json);
}

void
openapi_show(struct request *q)
{
	request_text(q, "application/json", openapi_json, openapi_size());
}
