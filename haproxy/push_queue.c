#include "common/loop.h"
#include "haproxy/push_state.h"
#include "haproxy/rank.h"

#define IN_VAIN 3 /* attempts, then others are first */

static void
place(void *arg, uint32_t at)
{
	struct cert *c = arg;

	c->at = at;
}

void
push_queues(struct push *p)
{
	TAILQ_INIT(&p->check);
	TAILQ_INIT(&p->look);
	TAILQ_INIT(&p->later);
	heap_init(&p->ready, place);
}

void
push_enqueue(struct push *p, struct cert *c, struct cert_queue *queue)
{
	if (c->at > 0)
		heap_remove(&p->ready, c->at);
	if (c->queue == queue)
		return;
	if (c->queue != NULL)
		TAILQ_REMOVE(c->queue, c, link);
	c->queue = queue;
	if (queue != NULL)
		TAILQ_INSERT_TAIL(queue, c, link);
}

/* What do visitors get in its place meanwhile? */
static enum rank_class
class_of(const struct cert *c)
{
	const struct deploy_have *have = &c->have;

	if (c->attempts >= IN_VAIN)
		return RANK_AGAIN;
	if (c->sha1[0] == '\0')
		return RANK_OLD;
	if (!have->store || have->sha1[0] == '\0' ||
	    (have->nentries == 0 && c->filter[0] != '\0'))
		return RANK_BARE;
	return have->ends > 0 && have->ends <= loop_wall_ms() / 1000 ? RANK_BARE
	                                                             : RANK_OLD;
}

void
push_make_ready(struct push *p, struct cert *c)
{
	uint32_t heat = 0;

	if (c->at > 0)
		return;
	push_enqueue(p, c, NULL);
	if (p->conf.heat != NULL)
		heat = p->conf.heat(p->arg, c->filter);
	if (p->ready.n == 0)
		p->turn = 0;
	heap_put(&p->ready, rank_of(class_of(c), heat, ++p->turn), c);
}
