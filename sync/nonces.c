#include "sync/nonces.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

void
nonces_put(struct nonces *p, const char *nonce)
{
	if (p->n == NONCES_MAX) {
		free(p->at[0]);
		p->n--;
		memmove(&p->at[0], &p->at[1], p->n * sizeof(p->at[0]));
	}
	p->at[p->n++] = xstrdup(nonce);
}

char *
nonces_take(struct nonces *p)
{
	return p->n > 0 ? p->at[--p->n] : NULL;
}

void
nonces_clear(struct nonces *p)
{
	while (p->n > 0)
		free(p->at[--p->n]);
}
