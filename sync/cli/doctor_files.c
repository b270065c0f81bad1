/* Directories, the key ring, sockets: who may use them, and is there room? */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/mem.h"
#include "common/seal.h"
#include "sync/cli/doctor.h"
#include "sync/cli/kek.h"

#define MIB (1024 * 1024)
#define FULL_MIB 16 /* less is an error, 16 times as much a warning... */
#define FULL_PART 5 /* ...when it is also less than a fifth of all */

/*
 * Something that only its owner may use, but for the bits in allowed; what:
 * "a directory that ...".  Returns -1 when it is not there.
 */
static int
check_mode(struct doctor *d, const char *check, const char *path,
    mode_t allowed, mode_t want)
{
	struct stat s;

	if (stat(path, &s) == -1) {
		doctor_find(
		    d, DOCTOR_ERROR, check, "%s: %s", path, strerror(errno));
		doctor_should(d, "made by certfleet-sync when it starts");
		doctor_cure(d,
		    "start certfleet-sync, and read what it says when it does "
		    "not start");
		return -1;
	}
	if ((s.st_mode & 0777 & ~allowed) == 0) {
		doctor_find(d, DOCTOR_WELL, check, "%s, mode %03o", path,
		    (unsigned int)(s.st_mode & 0777));
		return 0;
	}
	doctor_find(d, DOCTOR_ERROR, check, "%s has mode %03o", path,
	    (unsigned int)(s.st_mode & 0777));
	doctor_should(d, "mode %03o: whoever else may use it has what is in it",
	    (unsigned int)want);
	doctor_cure(d, "chmod %03o %s", (unsigned int)want, path);
	return 0;
}

/* One PEM file that others may read is one too many. */
static void
check_certificates(struct doctor *d)
{
	const char *dir = d->conf->haproxy.cert_dir;
	DIR *in = opendir(dir);
	const struct dirent *one;
	struct stat s;
	size_t n = 0;

	if (in == NULL) {
		doctor_find(d, DOCTOR_ERROR, "files.certificates", "%s: %s",
		    dir, strerror(errno));
		doctor_should(d, "the PEM files that HAProxy loads at start");
		doctor_cure(d, "run certfleet-sync --prime");
		return;
	}
	while ((one = readdir(in)) != NULL) {
		char *path = xasprintf("%s/%s", dir, one->d_name);
		bool open = one->d_name[0] != '.' && stat(path, &s) == 0 &&
		            S_ISREG(s.st_mode) && (s.st_mode & 07) != 0;

		n += one->d_name[0] != '.';
		if (open) {
			doctor_find(d, DOCTOR_ERROR, "files.certificates",
			    "%s has mode %03o", path,
			    (unsigned int)(s.st_mode & 0777));
			doctor_should(d, "mode 600: there is a private key "
					 "in it");
			doctor_cure(d, "chmod 600 %s", path);
		}
		free(path);
		if (open)
			break;
	}
	if (one == NULL)
		doctor_find(d, DOCTOR_WELL, "files.certificates",
		    "%s, %zu files", dir, n);
	closedir(in);
}

static void
check_backup(struct doctor *d, const char *path)
{
	char is[KEK_DIGEST_SIZE], said[KEK_DIGEST_SIZE];
	struct err e = { 0 };

	if (kek_digest(path, is, &e) == -1)
		return;
	kek_backed_up(d->conf, said);
	if (strcmp(is, said) == 0) {
		doctor_find(
		    d, DOCTOR_WELL, "kek.backup", "%s is backed up", path);
		return;
	}
	doctor_find(d, DOCTOR_WARNING, "kek.backup",
	    said[0] != '\0' ? "%s has changed since it was backed up"
			    : "nobody has said that %s is backed up",
	    path);
	doctor_should(d, "kept in another place: without it no private key in "
			 "Redis, and no sealed copy, can be opened again");
	doctor_cure(d, "copy it to a safe place, then say so: certfleet kek "
		       "backed-up");
}

static void
check_kek(struct doctor *d)
{
	char *path = kek_path(d->conf);
	struct seal_ring *ring;
	struct err e = { 0 };

	if (check_mode(d, "kek.file", path, 0700, 0600) == 0) {
		ring = seal_ring_load(path, &e);
		if (ring == NULL) {
			doctor_find(d, DOCTOR_ERROR, "kek.ring", "%s", e.text);
			doctor_should(d, "a key ring with an active key that "
					 "only its owner may read");
			doctor_cure(d, "put back the file from its backup or "
				       "from another node");
		} else {
			doctor_find(d, DOCTOR_WELL, "kek.ring", "%s", path);
		}
		seal_ring_free(ring);
		check_backup(d, path);
	}
	free(path);
}

static void
check_room(struct doctor *d, const char *dir)
{
	struct statvfs s;
	unsigned long long mib;

	if (statvfs(dir, &s) == -1)
		return;
	mib = (unsigned long long)s.f_bavail * s.f_frsize / MIB;
	if ((mib >= 16 * FULL_MIB || s.f_bavail * FULL_PART > s.f_blocks) &&
	    (s.f_files == 0 || s.f_favail > 1000)) {
		doctor_find(d, DOCTOR_WELL, "files.room", "%s: %llu MiB free",
		    dir, mib);
		return;
	}
	doctor_find(d, mib < FULL_MIB ? DOCTOR_ERROR : DOCTOR_WARNING,
	    "files.room", "%s: %llu MiB and %llu files free", dir, mib,
	    (unsigned long long)s.f_favail);
	doctor_should(d, "at least %d MiB, or a fifth of all, and 1000 files",
	    16 * FULL_MIB);
	doctor_cure(d, "make room on the file system of %s", dir);
}

void
doctor_files(struct doctor *d)
{
	const struct conf *conf = d->conf;

	check_mode(d, "files.state_dir", conf->state_dir, 0700, 0700);
	check_mode(d, "files.run_dir", conf->run_dir, 0755, 0755);
	check_certificates(d);
	check_kek(d);
	check_room(d, conf->state_dir);
	check_room(d, conf->run_dir);
}
