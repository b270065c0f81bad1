/* What the server says, as people read it.  Pure: JSON in, text out. */
#ifndef SYNC_CLI_SHOW_H
#define SYNC_CLI_SHOW_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "common/buf.h"

/* Wall-clock time now, and whether to colour. */
struct show {
	int64_t now;
	bool colours;
};

void show_domains(const struct show *, const json_t *domains, struct buf *out);
void show_why(const struct show *, const json_t *domain, struct buf *out);
void show_nodes(const struct show *, const json_t *nodes, struct buf *out);
void show_nodes_of(const struct show *, const json_t *domain, struct buf *out);
void show_status(const struct show *, const json_t *status, struct buf *out);
void show_event(const struct show *, json_t *event, struct buf *out);

void show_audit(const struct show *, const json_t *entry, struct buf *out);
void show_limits(const struct show *, const json_t *answer, struct buf *out);
void show_plan(const struct show *, const json_t *answer, struct buf *out);

void show_check(const struct show *, const json_t *check, struct buf *out);
void show_leader(const struct show *, const json_t *leader, struct buf *out);

void show_kek(const struct show *, const json_t *kek, struct buf *out);

/* One line: "Pending DNS: ...; checked again in 41 s". */
void show_line(const struct show *, const json_t *domain, struct buf *out);

#endif
