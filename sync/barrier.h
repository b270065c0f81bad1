/*
 * The node's side of the challenge barrier: when a challenge is published, ask
 * our own HAProxy for it, and say that it answers.
 */
#ifndef SYNC_BARRIER_H
#define SYNC_BARRIER_H

struct barrier;
struct conf;
struct event_base;
struct http;
struct store;

struct barrier *barrier_new(
    struct event_base *, const struct conf *, struct http *, struct store *);
void barrier_free(struct barrier *);

/* A message of CHANNEL_CHALLENGES: "token keyauth"; others are ignored. */
void barrier_challenge(struct barrier *, const char *text);

#endif
