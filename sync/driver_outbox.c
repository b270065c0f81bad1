/* What an order keeps in the outbox, and takes from there. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "sync/driver_impl.h"
#include "sync/outbox.h"

void
driver_outbox(struct driver *dr, struct outbox *outbox)
{
	dr->outbox = outbox;
}

bool
run_take_key(struct run *r, const char *url)
{
	char *its_url, *key;
	bool good = outbox_get_key(
	    r->driver->outbox, r->d->name, r->d->sha1, &its_url, &key);

	/* It may be of an older order than the one that Redis knows. */
	good = good && its_url[0] != '\0' &&
	       (url[0] == '\0' || strcmp(url, its_url) == 0);
	if (good) {
		log_warn("domain=%s Redis has lost the key of its order; it "
			 "goes on with the one that is still here, url=%s",
		    r->d->name, its_url);
		mem_wipe_free(r->key_pem);
		r->key_pem = key;
		key = NULL;
		free(r->order.url);
		r->order.url = its_url;
		its_url = NULL;
	}
	free(its_url);
	mem_wipe_free(key);
	return good;
}

/* The CA has been given a key, or is done with it, and it is not here. */
bool
run_key_is_lost(const struct run *r)
{
	return r->key_pem != NULL && r->key_pem[0] == '\0' &&
	       (r->order.state == ORDER_DOWNLOAD ||
		   r->order.state == ORDER_DONE || r->order.processing);
}
