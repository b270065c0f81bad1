/*
 * HAProxy by its runtime socket: is it there, may we change it, does a
 * certificate fit in, has it what certfleet keeps?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "common/str.h"
#include "sync/cli/doctor.h"

#define ANSWER_MAX (256 * 1024)
#define OLDEST_MAJOR 2
#define OLDEST_MINOR 6
#define MARGIN 128 /* of a command, as haproxy/command.h has it */

/* The value of a line "name: value" in what "show info" says. */
static bool
info(const char *text, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) == 0 && line[len] == ':') {
			line += len + 1;
			line += *line == ' ';
			snprintf(
			    out, size, "%.*s", (int)strcspn(line, "\n"), line);
			return true;
		}
	}
	return false;
}

static void
check_version(struct doctor *d, const char *socket, const char *version)
{
	int major = 0, minor = 0;

	if (sscanf(version, "%d.%d", &major, &minor) == 2 &&
	    (major > OLDEST_MAJOR ||
		(major == OLDEST_MAJOR && minor >= OLDEST_MINOR))) {
		doctor_find(d, DOCTOR_WELL, "haproxy.version", "%s: %s", socket,
		    version);
		return;
	}
	doctor_find(
	    d, DOCTOR_ERROR, "haproxy.version", "%s: %s", socket, version);
	doctor_should(d, "%d.%d or later", OLDEST_MAJOR, OLDEST_MINOR);
	doctor_cure(d, "install a later HAProxy");
}

static void
check_mode(struct doctor *d, const char *path)
{
	struct stat s;

	if (stat(path, &s) == -1 || (s.st_mode & 02) == 0)
		return;
	doctor_find(d, DOCTOR_ERROR, "haproxy.mode", "%s has mode %03o", path,
	    (unsigned int)(s.st_mode & 0777));
	doctor_should(d, "no access for others: who may connect may change "
			 "HAProxy");
	doctor_cure(d, "stats socket %s mode 660 level admin", path);
}

/* As large as the largest that certfleet-sync would push. */
static char *
large_command(size_t len)
{
	static const char head[] = "set ssl cert certfleet-doctor <<\n";
	char *text = xmalloc(len + 1);
	size_t at = sizeof(head) - 1;

	memcpy(text, head, at);
	for (; at < len; at++)
		text[at] = at % 64 == 0 ? '\n' : 'A';
	text[len - 2] = text[len - 1] = '\n';
	if (text[len - 3] == '\n')
		text[len - 3] = 'A';
	text[len] = '\0';
	return text;
}

/*
 * A certificate for a file that HAProxy does not know is refused, and by the
 * answer we see how far it came.
 */
static void
check_level_and_size(struct doctor *d, const char *socket)
{
	size_t len = (size_t)d->conf->haproxy.bufsize - MARGIN;
	char *text = large_command(len), answer[1024];
	struct err e = { 0 };
	bool denied, fits;

	if (doctor_talk(socket, text, len, answer, sizeof(answer), &e) == -1)
		answer[0] = '\0';
	free(text);
	denied = strstr(answer, "Permission denied") != NULL;
	fits = denied || strstr(answer, "not referenced") != NULL ||
	       strstr(answer, "Can't") != NULL;
	if (denied) {
		doctor_find(d, DOCTOR_ERROR, "haproxy.level",
		    "%s may not change certificates", socket);
		doctor_should(d, "level admin");
		doctor_cure(d,
		    "in global: stats socket %s mode 660 level "
		    "admin, then reload HAProxy",
		    socket);
	} else if (fits) {
		doctor_find(
		    d, DOCTOR_WELL, "haproxy.level", "%s: admin", socket);
	}
	if (fits) {
		doctor_find(d, DOCTOR_WELL, "haproxy.bufsize",
		    "%s takes %zu bytes", socket, len);
		return;
	}
	doctor_find(d, DOCTOR_ERROR, "haproxy.bufsize",
	    "%s does not take a certificate of %zu bytes, which "
	    "haproxy.bufsize "
	    "promises",
	    socket, len);
	doctor_should(d, "tune.bufsize %d", d->conf->haproxy.bufsize);
	doctor_cure(d,
	    "in global: tune.bufsize %d, then restart HAProxy; or "
	    "haproxy { bufsize } as HAProxy has it",
	    d->conf->haproxy.bufsize);
}

/* The crt-list that certfleet writes is one that HAProxy has loaded. */
static void
check_crt_list(struct doctor *d, const char *socket)
{
	static const char question[] = "show ssl crt-list\n";
	const char *list = d->conf->haproxy.crt_list;
	char *answer = xmalloc(ANSWER_MAX);
	struct err e = { 0 };
	struct stat s;
	char *line;

	doctor_talk(
	    socket, question, sizeof(question) - 1, answer, ANSWER_MAX, &e);
	line = strstr(answer, list);
	if (stat(list, &s) == -1) {
		doctor_find(d, DOCTOR_ERROR, "haproxy.crt_list", "%s: %s", list,
		    strerror(errno));
		doctor_should(d, "written by certfleet-sync");
		doctor_cure(d, "run certfleet-sync --prime");
	} else if (strstr(answer, "Permission denied") != NULL) {
		doctor_find(d, DOCTOR_SKIPPED, "haproxy.crt_list",
		    "%s does not say what it has loaded", socket);
	} else if (line == NULL ||
		   (line[strlen(list)] != '\n' && line[strlen(list)] != '\0')) {
		doctor_find(d, DOCTOR_ERROR, "haproxy.crt_list",
		    "%s: HAProxy has not loaded %s", socket, list);
		doctor_should(d, "a bind line with that crt-list, named so");
		doctor_cure(d,
		    "bind :443 ssl crt %s/default.pem crt-list %s, then "
		    "reload HAProxy",
		    d->conf->haproxy.cert_dir, list);
	} else {
		doctor_find(d, DOCTOR_WELL, "haproxy.crt_list", "%s", list);
	}
	free(answer);
}

static void
check_one(struct doctor *d, const char *socket)
{
	static const char question[] = "show info\n";
	char *answer = xmalloc(ANSWER_MAX), version[64] = "", pid[24] = "";
	struct err e = { 0 };
	int64_t number = 0;
	ssize_t n;

	n = doctor_talk(
	    socket, question, sizeof(question) - 1, answer, ANSWER_MAX, &e);
	if (n > 0 && info(answer, "Version", version, sizeof(version)) &&
	    info(answer, "Pid", pid, sizeof(pid))) {
		check_version(d, socket, version);
		check_mode(d, socket);
		check_level_and_size(d, socket);
		check_crt_list(d, socket);
		if (str_int(pid, 1, INT32_MAX, &number) == 0)
			doctor_haproxy_config(d, socket, (int)number);
	} else {
		doctor_find(d, DOCTOR_ERROR, "haproxy.socket", "%s: %s", socket,
		    n == -1 ? e.text : "no HAProxy answers");
		doctor_should(d, "HAProxy's runtime API");
		doctor_cure(d,
		    "start HAProxy; in global: stats socket %s mode "
		    "660 level admin; haproxy.sockets names it",
		    socket);
	}
	free(answer);
}

void
doctor_haproxy(struct doctor *d)
{
	const struct conf_list *sockets = &d->conf->haproxy.sockets;

	for (size_t i = 0; i < sockets->n; i++)
		check_one(d, sockets->item[i]);
}
