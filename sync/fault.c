#include "sync/fault.h"

#ifdef CERTFLEET_FAULTS

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"

#define FAULTS_MAX 16

enum fault_kind {
	FAULT_KILL = 0,
	FAULT_STOP,
	FAULT_SLEEP,
};

struct fault {
	char place[16];
	enum fault_kind kind;
	int64_t sleep_ms;
	int64_t nth; /* 0: every time */
	int64_t passed;
};

static struct fault faults[FAULTS_MAX];
static size_t nfaults;
static bool loaded;

static int
take_kind(struct fault *f, const char *word)
{
	f->nth = 1;
	if (strcmp(word, "kill") == 0) {
		f->kind = FAULT_KILL;
		return 0;
	}
	if (strcmp(word, "stop") == 0) {
		f->kind = FAULT_STOP;
		return 0;
	}
	f->kind = FAULT_SLEEP;
	f->nth = 0;
	return str_has_prefix(word, "sleep=")
	           ? str_int(word + 6, 0, 600000, &f->sleep_ms)
	           : -1;
}

/* "F11:kill[:n]" */
static int
take(struct fault *f, char *text)
{
	char *place = strsep(&text, ":"), *kind = strsep(&text, ":");
	struct err e;

	if (kind == NULL || *place == '\0' || take_kind(f, kind) == -1)
		return -1;
	if (text != NULL && str_int(text, 1, INT32_MAX, &f->nth) == -1)
		return -1;
	return str_copy(f->place, sizeof(f->place), place, &e);
}

static void
load(void)
{
	const char *env = getenv("CERTFLEET_FAULT");
	char text[512], *rest = text, *one;

	loaded = true;
	if (env == NULL || *env == '\0')
		return;
	snprintf(text, sizeof(text), "%s", env);
	while ((one = strsep(&rest, ",")) != NULL) {
		if (nfaults == FAULTS_MAX || strlen(env) >= sizeof(text) ||
		    take(&faults[nfaults++], one) == -1) {
			/* A test that mistypes must not pass. */
			fprintf(stderr, "CERTFLEET_FAULT=%s: cannot be read\n",
			    env);
			abort();
		}
	}
}

static void
happen(const struct fault *f)
{
	fprintf(stderr, "fault at %s\n", f->place);
	switch (f->kind) {
	case FAULT_KILL:
		kill(getpid(), SIGKILL);
		break;
	case FAULT_STOP:
		kill(getpid(), SIGSTOP);
		break;
	case FAULT_SLEEP:
		usleep((useconds_t)f->sleep_ms * 1000);
		break;
	}
}

void
fault_point(const char *place)
{
	if (!loaded)
		load();
	for (size_t i = 0; i < nfaults; i++) {
		struct fault *f = &faults[i];

		if (strcmp(f->place, place) == 0 &&
		    (++f->passed == f->nth || f->nth == 0))
			happen(f);
	}
}

#endif
