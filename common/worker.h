/*
 * A thread for what waits for a disk, so that the loop goes on meanwhile.  Jobs
 * are done one after the other, and their ends are told in that order.
 */
#ifndef COMMON_WORKER_H
#define COMMON_WORKER_H

#include <sys/queue.h>

struct event_base;
struct worker;

/*
 * A part of what it is about, which stays until done() is called: the worker
 * owns nothing.  work() runs in the thread: it touches nothing that the loop may
 * touch meanwhile and calls no library but the system's.  done() runs in the
 * loop; it may free the job and hand over others.
 */
struct worker_job {
	STAILQ_ENTRY(worker_job) link; /* the worker's */
	void (*work)(struct worker_job *);
	void (*done)(struct worker_job *);
};

/* Aborts when the system gives no thread or descriptor. */
struct worker *worker_new(struct event_base *);

/* Waits until all jobs are done, and calls done() for each: none may follow. */
void worker_free(struct worker *);

/* The same for those that there are now, but the worker stays. */
void worker_wait(struct worker *);

void worker_do(struct worker *, struct worker_job *);

#endif
