/* Names: whatever goes in, what comes out is one form and safe everywhere. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain.h"
#include "common/mem.h"
#include "common/str.h"

static void
must(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = xmemdup0(data, size);
	char name[DOMAIN_NAME_MAX], again[DOMAIN_NAME_MAX];
	char file[DOMAIN_FILE_MAX];
	const char *base, *registered;
	struct err e = { 0 };

	if (domain_normalise(input, name, &e) == -1) {
		must(e.kind == ERR_REFUSED && e.text[0] != '\0');
		must(strpbrk(e.text, "\n\r\x1b\x7f") == NULL);
		must(name[0] == '\0');
		free(input);
		return 0;
	}
	free(input);
	base = domain_base(name);
	must(strlen(name) < DOMAIN_NAME_MAX);
	must(str_only(
	    base, strlen(base), "abcdefghijklmnopqrstuvwxyz0123456789.-"));
	must(strchr(base, '.') != NULL && strstr(name, "..") == NULL);
	must(base[0] != '.' && base[0] != '-');
	for (const char *p = base; *p != '\0'; p += *p == '.') {
		size_t len = strcspn(p, ".");

		must(len > 0 && len <= 63 && p[len - 1] != '-');
		p += len;
	}
	must(domain_normalise(name, again, &e) == 0);
	must(strcmp(name, again) == 0);
	registered = domain_registered(name);
	must(registered >= base && registered < base + strlen(base));
	domain_file(name, file);
	must(strpbrk(file, "/*") == NULL);
	must(domain_covers(name, base) == !domain_wildcard(name));
	return 0;
}
