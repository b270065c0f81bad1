/* The journal of TXT records: what is read can be written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/txt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *json = xmemdup0(data, size), *text, key[TXT_KEY_MAX];
	struct txt t, again;
	struct err e;

	if (txt_read(&t, json, &e) == 0) {
		text = txt_write(&t);
		if (txt_read(&again, text, &e) == -1 ||
		    memcmp(&again, &t, sizeof(t)) != 0)
			abort();
		txt_key(&t, key);
		if (strchr(key, ' ') == NULL)
			abort();
		free(text);
	}
	free(json);
	return 0;
}
