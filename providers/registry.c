#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "providers/provider.h"
#include "providers/providers.h"

static const struct provider *const providers[] = {
	&provider_azure,
	&provider_cloudflare,
	&provider_dnsimple,
	&provider_gandi,
	&provider_gandiv5,
	&provider_gcloud,
	&provider_godaddy,
	&provider_ovh,
	&provider_route53,
};

#define PROVIDERS (sizeof(providers) / sizeof(providers[0]))

/* Other names under which people know one. */
static const struct {
	const char *name, *is;
} aliases[] = {
	{ "gandipat", "gandiv5" },
};

const struct provider *
provider_at(size_t i)
{
	return i < PROVIDERS ? providers[i] : NULL;
}

const struct provider *
provider_get(const char *name, struct err *e)
{
	const char *real = name;
	struct buf all;
	char shown[64];

	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(aliases[i].name, name) == 0)
			real = aliases[i].is;
	for (size_t i = 0; i < PROVIDERS; i++)
		if (strcmp(providers[i]->name, real) == 0)
			return providers[i];
	buf_init(&all, 256);
	for (size_t i = 0; i < PROVIDERS; i++)
		buf_putf(&all, "%s%s", i > 0 ? ", " : "", providers[i]->name);
	str_printable(shown, sizeof(shown), name, strlen(name));
	err_set(e, ERR_CONFIG, "DNS_PROVIDER is \"%s\"; it can be one of %s",
	    shown, all.p);
	buf_clear(&all);
	return NULL;
}
