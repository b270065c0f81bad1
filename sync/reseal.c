#include "sync/reseal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "sync/store.h"
#include "sync/store_reseal.h"

#define PAGE 64
#define NOTE_MS 1000
#define AGAIN_MS (10 * 60 * 1000) /* what could not be sealed anew */
#define KEYS_MAX 32               /* ids that are told of */
#define FIELDS (2 * (KEYS_MAX + 9))

enum step {
	STEP_DOMAINS = 0,
	STEP_APPS,
	STEP_REST,
	STEP_TXT,
	STEP_DONE,
};

/* One sealed value on its way. */
struct value {
	struct reseal *all;
	enum sealed kind;
	char name[512]; /* of a domain, an app or a CA */
	uint32_t id;    /* of the key that it is sealed with */
};

struct reseal {
	struct event_base *base;
	const struct conf *conf;
	const struct seal_ring *ring;
	struct store *store;
	struct event *later, *note;
	bool running;
	enum step step;
	struct value value[SEALED_KINDS];
	int waiting;
	/* The page of domains, and their apps. */
	char (*domain)[DOMAIN_NAME_MAX];
	size_t ndomains, next;
	char last[DOMAIN_NAME_MAX]; /* that was looked at */
	size_t offset;
	char **app; /* all that were seen */
	size_t napps;
	/* How far it is. */
	int64_t started_at;
	size_t looked, resealed, failed;
	uint32_t id[KEYS_MAX];
	size_t count[KEYS_MAX], nids, txt;
};

static void go_on(void *);

struct reseal *
reseal_new(struct event_base *base, const struct conf *conf,
    const struct seal_ring *ring, struct store *store)
{
	struct reseal *all = xcalloc(1, sizeof(*all));

	all->base = base;
	all->conf = conf;
	all->ring = ring;
	all->store = store;
	all->domain = xcalloc(PAGE, sizeof(*all->domain));
	return all;
}

void
reseal_stop(struct reseal *all)
{
	store_forget(all->store, all);
	for (int i = 0; i < SEALED_KINDS; i++)
		store_forget(all->store, &all->value[i]);
	loop_cancel(all->later);
	loop_cancel(all->note);
	for (size_t i = 0; i < all->napps; i++)
		free(all->app[i]);
	free(all->app);
	all->app = NULL;
	all->napps = 0;
	all->waiting = 0;
	all->running = false;
}

void
reseal_free(struct reseal *all)
{
	if (all == NULL)
		return;
	reseal_stop(all);
	loop_timer_free(&all->later);
	loop_timer_free(&all->note);
	free(all->domain);
	free(all);
}

/* --- what is told -------------------------------------------------------------------- */

static void
count(struct reseal *all, uint32_t id)
{
	size_t i = 0;

	while (i < all->nids && all->id[i] != id)
		i++;
	if (i == KEYS_MAX)
		return;
	if (i == all->nids)
		all->id[all->nids++] = id;
	all->count[i]++;
}

/* Names and numbers as pairs of texts. */
struct note {
	char text[FIELDS][32];
	const char *field[FIELDS];
	size_t n;
};

static void
put(struct note *note, const char *name, int64_t v)
{
	snprintf(note->text[note->n], sizeof(note->text[0]), "%s", name);
	snprintf(note->text[note->n + 1], sizeof(note->text[0]), "%" PRId64, v);
	note->n += 2;
}

static void
tell(void *arg)
{
	struct reseal *all = arg;
	struct note *note = xcalloc(1, sizeof(*note));
	char name[32];

	put(note, "done", all->step == STEP_DONE);
	put(note, "started_at", all->started_at);
	put(note, "at", loop_wall_ms());
	put(note, "seals", seal_ring_seals(all->ring));
	put(note, "looked", (int64_t)all->looked);
	put(note, "resealed", (int64_t)all->resealed);
	put(note, "failed", (int64_t)all->failed);
	put(note, "txt", (int64_t)all->txt);
	for (size_t i = 0; i < all->nids; i++) {
		snprintf(name, sizeof(name), "key:%u", all->id[i]);
		put(note, name, (int64_t)all->count[i]);
	}
	for (size_t i = 0; i < note->n; i++)
		note->field[i] = note->text[i];
	store_reseal_note(all->store, note->field, note->n / 2);
	free(note);
	if (all->running)
		loop_after(all->base, &all->note, NOTE_MS, tell, all);
}

/* --- one value ----------------------------------------------------------------------- */

static void
settled(struct reseal *all)
{
	if (--all->waiting == 0)
		loop_after(all->base, &all->later, 0, go_on, all);
}

static void
replaced(void *arg, bool yes, const struct err *e)
{
	struct value *v = arg;
	struct reseal *all = v->all;

	if (e != NULL) {
		log_warn("%s not sealed anew: %s", v->name, e->text);
		all->failed++;
		count(all, v->id);
	} else {
		/* Whoever was faster has the newest key, or a later look. */
		all->resealed += yes;
		all->failed += !yes;
		count(all, yes ? seal_ring_seals(all->ring) : v->id);
	}
	settled(all);
}

static void
got_value(void *arg, const void *bytes, size_t len, const struct err *e)
{
	struct value *v = arg;
	struct reseal *all = v->all;
	struct buf again;
	struct err bad = { 0 };

	if (e != NULL || bytes == NULL) {
		all->failed += e != NULL;
		settled(all);
		return;
	}
	all->looked++;
	v->id = sealed_key_id(v->kind, bytes, len);
	if (v->id == seal_ring_seals(all->ring)) {
		count(all, v->id);
		settled(all);
		return;
	}
	buf_init(&again, SEALED_MAX_LEN);
	if (sealed_again(
		all->ring, v->kind, v->name, bytes, len, &again, &bad) == 0) {
		store_reseal(all->store, v->kind, v->name, bytes, len, again.p,
		    again.len, replaced, v);
	} else {
		log_warn("%s not sealed anew: %s", v->name, bad.text);
		all->failed++;
		count(all, v->id);
		settled(all);
	}
	buf_clear(&again);
}

static void
look(struct reseal *all, enum sealed kind, const char *name)
{
	struct value *v = &all->value[kind];

	v->all = all;
	v->kind = kind;
	snprintf(v->name, sizeof(v->name), "%s", name);
	all->waiting++;
	store_sealed(all->store, kind, name, got_value, v);
}

/* --- domains, a page after the other -------------------------------------------------- */

static void
note_app(struct reseal *all, const char *app)
{
	for (size_t i = 0; i < all->napps; i++)
		if (strcmp(all->app[i], app) == 0)
			return;
	all->app = xrealloc(all->app, (all->napps + 1) * sizeof(*all->app));
	all->app[all->napps++] = xstrdup(app);
}

static void
next_step(struct reseal *all)
{
	all->step++;
	all->next = 0;
	loop_after(all->base, &all->later, 0, go_on, all);
}

/*
 * Pages overlap by one name: one that does not begin with it, nor before it, has
 * lost names that were removed meanwhile, and perhaps some we have not seen.
 */
static void
got_page(void *arg, const struct domain *const *d, size_t n, int64_t total,
    const struct err *e)
{
	struct reseal *all = arg;

	(void)total;
	if (e != NULL) {
		log_warn("sealing anew: %s", e->text);
		all->failed++;
		loop_after(all->base, &all->later, NOTE_MS, go_on, all);
		return;
	}
	if (all->offset > 0 && (n == 0 || strcmp(d[0]->name, all->last) > 0)) {
		all->offset -= all->offset < PAGE ? all->offset : PAGE;
		loop_after(all->base, &all->later, 0, go_on, all);
		return;
	}
	all->ndomains = all->next = 0;
	for (size_t i = 0; i < n; i++) {
		note_app(all, d[i]->app);
		if (all->last[0] == '\0' || strcmp(d[i]->name, all->last) > 0)
			memcpy(all->domain[all->ndomains++], d[i]->name,
			    sizeof(d[i]->name));
	}
	all->offset += n > 0 ? n - 1 : 0;
	if (all->ndomains == 0 && n < PAGE)
		next_step(all);
	else
		loop_after(all->base, &all->later, 0, go_on, all);
}

static void
next_domain(struct reseal *all)
{
	const char *name;

	if (all->next == all->ndomains) {
		store_page(all->store, NULL, all->offset, PAGE, got_page, all);
		return;
	}
	name = all->domain[all->next++];
	memcpy(all->last, name, sizeof(all->last));
	for (int kind = 0; kind < SEALED_OF_DOMAIN; kind++)
		look(all, (enum sealed)kind, name);
}

/* --- the rest ------------------------------------------------------------------------- */

static void
look_at_rest(struct reseal *all)
{
	const char *first = all->conf->acme.directory;
	const char *second = all->conf->acme_fallback.directory;

	if (all->next == 0) {
		look(all, SEALED_ACCOUNT, first);
		look(all, SEALED_ROLLOVER, "");
		look(all, SEALED_TOKEN_KEY, "");
	} else if (all->next == 1 && second[0] != '\0') {
		look(all, SEALED_ACCOUNT, second);
	} else {
		next_step(all);
		return;
	}
	all->next++;
}

static void
got_txt(void *arg, int64_t n, const struct err *e)
{
	struct reseal *all = arg;

	all->failed += e != NULL;
	all->txt = (size_t)n;
	next_step(all);
}

static void begin_again(void *);

static void
end(struct reseal *all)
{
	size_t failed = all->failed;

	log_info("sealed anew: looked=%zu resealed=%zu failed=%zu key=%u",
	    all->looked, all->resealed, failed, seal_ring_seals(all->ring));
	all->running = false;
	tell(all);
	reseal_stop(all);
	if (failed > 0)
		loop_after(all->base, &all->later, AGAIN_MS, begin_again, all);
}

static void
go_on(void *arg)
{
	struct reseal *all = arg;

	switch (all->step) {
	case STEP_DOMAINS:
		next_domain(all);
		break;
	case STEP_APPS:
		if (all->next < all->napps)
			look(all, SEALED_ENV, all->app[all->next++]);
		else
			next_step(all);
		break;
	case STEP_REST:
		look_at_rest(all);
		break;
	case STEP_TXT:
		store_txt_count(all->store, got_txt, all);
		break;
	case STEP_DONE:
		end(all);
		break;
	}
}

static void
begin_again(void *arg)
{
	reseal_start(arg, 1);
}

void
reseal_start(struct reseal *all, int asked)
{
	struct seal_key key[2];

	if (all->running || (!asked && seal_ring_keys(all->ring, key, 2) < 2))
		return;
	all->running = true;
	all->step = STEP_DOMAINS;
	all->ndomains = all->next = all->offset = 0;
	all->last[0] = '\0';
	all->looked = all->resealed = all->failed = all->txt = all->nids = 0;
	memset(all->count, 0, sizeof(all->count));
	all->started_at = loop_wall_ms();
	loop_after(all->base, &all->later, 0, go_on, all);
	loop_after(all->base, &all->note, NOTE_MS, tell, all);
}
