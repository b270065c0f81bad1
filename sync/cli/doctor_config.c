/*
 * HAProxy's configuration files, as far as certfleet needs something of them:
 * the SPOE filter and its agent.  Which files: those on the process's command
 * line, or the one that was named.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/doctor.h"

#define FILE_MAX (4 * 1024 * 1024)
#define WORDS_MAX 64
#define NAME_MAX_LEN 256

/* What is of interest in all files together. */
struct found {
	char spoe_file[NAME_MAX_LEN];   /* of "filter spoe ... config F" */
	char engine[NAME_MAX_LEN];      /* of "filter spoe engine E" */
	char use_backend[NAME_MAX_LEN]; /* of the SPOE file */
	char backends[32 * 1024];       /* "\nname\n..." */
	bool group; /* send-spoe-group, or an engine of events */
	bool agent; /* "spoe-agent" in the SPOE file */
};

static char *
read_file(const char *path, struct err *e)
{
	char *text = xmalloc(FILE_MAX);
	FILE *in = fopen(path, "re");
	size_t n = 0;

	if (in == NULL) {
		err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
		free(text);
		return NULL;
	}
	n = fread(text, 1, FILE_MAX - 1, in);
	fclose(in);
	text[n] = '\0';
	return text;
}

/* A line's words, in place; quotes and "#" as far as they matter here. */
static size_t
split(char *line, char *word[static WORDS_MAX])
{
	size_t n = 0;
	char *p = line;

	while (n < WORDS_MAX) {
		p += strspn(p, " \t\r");
		if (*p == '\0' || *p == '#')
			break;
		word[n++] = p;
		p += strcspn(p, " \t\r");
		if (*p != '\0')
			*p++ = '\0';
	}
	return n;
}

static const char *
after(char *const *word, size_t n, const char *key)
{
	for (size_t i = 0; i + 1 < n; i++)
		if (strcmp(word[i], key) == 0)
			return word[i + 1];
	return NULL;
}

static void
keep(char out[static NAME_MAX_LEN], const char *text)
{
	if (text != NULL)
		str_copy(out, NAME_MAX_LEN, text, NULL);
}

static void
take_line(struct found *f, char *const *word, size_t n)
{
	size_t used = strlen(f->backends);

	if (n >= 2 &&
	    (strcmp(word[0], "backend") == 0 || strcmp(word[0], "listen") == 0))
		snprintf(f->backends + used, sizeof(f->backends) - used,
		    "\n%s\n", word[1]);
	if (n >= 2 && strcmp(word[0], "filter") == 0 &&
	    strcmp(word[1], "spoe") == 0) {
		keep(f->spoe_file, after(word, n, "config"));
		keep(f->engine, after(word, n, "engine"));
	}
	for (size_t i = 0; i < n; i++)
		f->group |= strcmp(word[i], "send-spoe-group") == 0;
	if (n >= 1 && strcmp(word[0], "spoe-agent") == 0)
		f->agent = true;
	if (n >= 2 && f->agent && strcmp(word[0], "use-backend") == 0)
		keep(f->use_backend, word[1]);
}

static int
take_file(struct found *f, const char *path, struct err *e)
{
	char *text = read_file(path, e), *line, *next;
	char *word[WORDS_MAX];

	if (text == NULL)
		return -1;
	for (line = text; line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		take_line(f, word, split(line, word));
	}
	free(text);
	return 0;
}

/* A file or, of a directory, all that HAProxy would read in it. */
static int
take_path(struct found *f, const char *path, struct err *e)
{
	DIR *dir = opendir(path);
	const struct dirent *one;
	char *name;
	int rc = 0;

	if (dir == NULL)
		return take_file(f, path, e);
	while (rc == 0 && (one = readdir(dir)) != NULL) {
		if (!str_has_suffix(one->d_name, ".cfg"))
			continue;
		name = xasprintf("%s/%s", path, one->d_name);
		rc = take_file(f, name, e);
		free(name);
	}
	closedir(dir);
	return rc;
}

/* A path as the process means it. */
static int
take_of_process(struct found *f, int pid, const char *path, struct err *e)
{
	char *name;
	int rc;

	if (path[0] == '/')
		return take_path(f, path, e);
	name = xasprintf("/proc/%d/cwd/%s", pid, path);
	rc = take_path(f, name, e);
	free(name);
	return rc;
}

/* The files after -f on the process's command line. */
static int
take_process(struct found *f, int pid, struct err *e)
{
	char path[64], *text, *p, *end;
	bool file = false;
	int rc = -1;
	FILE *in;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	in = fopen(path, "re");
	if (in == NULL)
		return err_set(e, ERR_CONFIG, "%s: %s", path, strerror(errno));
	text = xmalloc(FILE_MAX);
	n = fread(text, 1, FILE_MAX - 1, in);
	fclose(in);
	text[n] = '\0';
	err_set(e, ERR_CONFIG, "its command line names no file with -f");
	for (p = text, end = text + n; p < end; p += strlen(p) + 1) {
		if (file && (rc = take_of_process(f, pid, p, e)) == -1)
			break;
		file = strcmp(p, "-f") == 0;
	}
	free(text);
	return rc;
}

static void
missing(struct doctor *d, const char *is, const char *should)
{
	doctor_find(d, DOCTOR_ERROR, "haproxy.filter", "%s", is);
	doctor_should(d, "%s", should);
	doctor_cure(d, "take the backends certfleet_http01 and certfleet_spoa "
		       "from certfleet's haproxy.cfg, and the use_backend "
		       "line of its frontend \"web\"");
}

static void
judge(struct doctor *d, struct found *f)
{
	char is[2 * NAME_MAX_LEN], name[NAME_MAX_LEN + 2];
	struct err e = { 0 };

	if (f->spoe_file[0] == '\0') {
		missing(d, "HAProxy's configuration has no SPOE filter",
		    "filter spoe engine certfleet config "
		    "/etc/certfleet/spoe-certfleet.conf");
		return;
	}
	if (take_file(f, f->spoe_file, &e) == -1) {
		missing(d, e.text, "the file that the SPOE filter names");
		return;
	}
	snprintf(name, sizeof(name), "\n%s\n", f->use_backend);
	if (f->use_backend[0] == '\0' || strstr(f->backends, name) == NULL) {
		snprintf(is, sizeof(is),
		    "%.200s uses the backend \"%.200s\", which is not there",
		    f->spoe_file, f->use_backend);
		missing(d, is, "a backend with the agent as its server");
	} else if (!f->group) {
		missing(d, "nothing is sent to the SPOE filter",
		    "http-request send-spoe-group certfleet http01");
	} else {
		doctor_find(d, DOCTOR_WELL, "haproxy.filter",
		    "engine %s, backend %s", f->engine, f->use_backend);
	}
}

void
doctor_haproxy_config(struct doctor *d, const char *socket, int pid)
{
	struct found *f = xcalloc(1, sizeof(*f));
	struct err e = { 0 };
	int rc;

	rc = d->haproxy_config != NULL ? take_path(f, d->haproxy_config, &e)
	                               : take_process(f, pid, &e);
	if (rc == -1)
		doctor_find(d, DOCTOR_SKIPPED, "haproxy.filter",
		    "%s: %s; --haproxy-config names the file", socket, e.text);
	else
		judge(d, f);
	free(f);
}
