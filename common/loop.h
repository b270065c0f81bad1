/*
 * The event loop that every program runs: one libevent base, clocks, timers,
 * stop signals, and what systemd passes in and wants to hear.
 *
 * A callback never runs inside the call that registered it: where a result is
 * known at once, a doer defers it with loop_after(..., 0, ...).
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stddef.h>
#include <stdint.h>

struct event;
struct event_base;

/* A base with SIGPIPE ignored; aborts when there are no descriptors left. */
struct event_base *loop_new(void);

/*
 * Run until loop_stop().  SIGTERM and SIGINT call stop(arg) once, which winds
 * down and ends in loop_stop(); a second signal ends the loop at once.
 * SIGHUP calls hup(arg), which may be NULL.  systemd's watchdog, when it watches
 * us, hears that the loop turns.
 */
typedef void loop_fn(void *arg);
void loop_run(struct event_base *, loop_fn *stop, loop_fn *hup, void *arg);
void loop_stop(struct event_base *);

/* Milliseconds that never jump and count time asleep (CLOCK_BOOTTIME). */
int64_t loop_now_ms(void);

/* Milliseconds since 1970: for certificates, records and logs only. */
int64_t loop_wall_ms(void);

/*
 * One-shot timer.  loop_after() sets (or sets again) *timer, created when
 * NULL, to call fn(arg) after ms; loop_cancel() stops it, loop_timer_free()
 * also frees it and sets it to NULL.
 */
void loop_after(struct event_base *, struct event **timer, int64_t ms,
    loop_fn *, void *arg);
void loop_cancel(struct event *timer);
void loop_timer_free(struct event **timer);

/* A random number in 0..limit-1; for jitter, not for secrets. */
uint32_t loop_random(uint32_t limit);

/* Tell systemd ("READY=1", "STATUS=..."), when it listens (sd_notify(3)). */
void loop_notify(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How many sockets systemd passes in, from descriptor 3 on (LISTEN_FDS). */
#define LOOP_LISTEN_FD 3
int loop_listen_fds(void);

#endif
