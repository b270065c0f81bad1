/* What the verbs of certfleet kek share; for kek.c and kek_*.c only. */
#ifndef SYNC_CLI_KEK_IMPL_H
#define SYNC_CLI_KEK_IMPL_H

#include <stdint.h>

#include <jansson.h>

#include "common/conf.h"
#include "common/err.h"
#include "sync/cli/cli.h"

/* What a verb works with. */
struct kek {
	const struct cli *cli;
	struct conf *conf;
	char *path;
	json_t *fleet; /* what certfleet-sync says */
};

/* The configuration and where the ring is; what certfleet-sync says. */
int kek_open_file(struct kek *);
int kek_ask_fleet(struct kek *);

/* Ask the leader to go through all that is sealed. */
int kek_ask_reseal(const struct kek *, json_t **answer);

int kek_complain(const struct err *); /* returns an exit status */

/* The file has changed: the sentence, or the same in JSON. */
void kek_say_changed(const struct kek *, const char *verb, uint32_t id,
    const char *next, const char *sentence);

int kek_retire(struct kek *);

#endif
