#include "common/fault.h"

#ifdef CERTFLEET_FAULTS

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static int
take_kind(struct fault *f, const char *word)
{
	f->nth = 1;
	f->passed = 0;
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

/* A test that mistypes must not pass. */
static void
cannot_read(const char *text)
{
	fprintf(stderr, "CERTFLEET_FAULT=%s: cannot be read\n", text);
	abort();
}

static void
take_all(const char *list)
{
	char text[512], *rest = text, *one;

	nfaults = 0;
	if (strlen(list) >= sizeof(text))
		cannot_read(list);
	snprintf(text, sizeof(text), "%s", list);
	if (*text == '\0')
		return;
	while ((one = strsep(&rest, ",")) != NULL)
		if (nfaults == FAULTS_MAX ||
		    take(&faults[nfaults++], one) == -1)
			cannot_read(list);
}

/* Whoever writes it renames it: it is another file, or of another time. */
static void
load_file(const char *path)
{
	static struct stat last;
	char text[512];
	struct stat st = { 0 };
	size_t n = 0;
	FILE *f;

	if (stat(path, &st) == -1)
		st.st_ino = 0;
	if (st.st_ino == last.st_ino &&
	    st.st_mtim.tv_sec == last.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == last.st_mtim.tv_nsec)
		return;
	last = st;
	f = fopen(path, "re");
	if (f != NULL) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	take_all(text);
}

static void
load(void)
{
	static bool loaded;
	const char *env = getenv("CERTFLEET_FAULT");

	if (env != NULL && *env == '@') {
		load_file(env + 1);
		return;
	}
	if (!loaded && env != NULL)
		take_all(env);
	loaded = true;
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
	load();
	for (size_t i = 0; i < nfaults; i++) {
		struct fault *f = &faults[i];

		if (strcmp(f->place, place) == 0 &&
		    (++f->passed == f->nth || f->nth == 0))
			happen(f);
	}
}

bool
fault_armed(const char *place)
{
	load();
	for (size_t i = 0; i < nfaults; i++)
		if (strcmp(faults[i].place, place) == 0 &&
		    (faults[i].nth == 0 ||
			faults[i].passed + 1 == faults[i].nth))
			return true;
	return false;
}

#endif
