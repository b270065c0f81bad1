/* The CA account: its key is changed by the leader. */
#include "sync/api/request.h"

static void
asked(void *arg, const struct err *e)
{
	if (e != NULL)
		request_store_error(arg, e);
	else
		request_reply(
		    arg, 202, json_pack("{s:s}", "rollover", "asked"));
}

void
account_rollover(struct request *q)
{
	store_rollover_ask(q->api->store, asked, q);
}
