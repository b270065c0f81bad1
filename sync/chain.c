#include "sync/chain.h"

#include <stdlib.h>

#include "common/mem.h"
#include "sync/acme.h"
#include "sync/acme_link.h"
#include "sync/cert.h"

const char *
chain_url(const struct order *o)
{
	return o->chain == NULL ? o->certificate
	                        : o->alternate[o->alternates_seen];
}

static void
take_alternates(struct order *o, const char *links)
{
	char url[ACME_URL_MAX];

	while (links != NULL && o->nalternates < ORDER_CHAINS_MAX &&
	       acme_link(&links, "alternate", url, sizeof(url)) == 0)
		o->alternate[o->nalternates++] = xstrdup(url);
}

bool
chain_take(struct order *o, const char *pem, const char *links)
{
	bool first = o->chain == NULL;
	bool good = o->preferred == NULL ||
	            (pem[0] != '\0' && cert_topmost_by(pem, o->preferred));

	if (first || good) {
		free(o->chain);
		o->chain = xstrdup(pem);
	}
	if (first && !good)
		take_alternates(o, links);
	if (!first)
		o->alternates_seen++;
	return good || o->alternates_seen == o->nalternates;
}

void
chain_forget(struct order *o)
{
	for (size_t i = 0; i < o->nalternates; i++)
		free(o->alternate[i]);
	o->nalternates = o->alternates_seen = 0;
	free(o->chain);
	o->chain = NULL;
}
