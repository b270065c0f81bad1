/* certfleet-sync: the sidecar of each node; see README.md, "A tour". */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/seal.h"
#include "haproxy/files.h"
#include "sync/keep.h"
#include "sync/node.h"
#include "sync/platform.h"
#include "sync/transfer.h"
#include "sync/wiping.h"

#define EXIT_CONFIG 100 /* somebody must change something */

static const char usage[] =
    "usage: certfleet-sync [-cdhV] [-f FILE] [--prime | --export FILE |\n"
    "                      --restore FILE]\n"
    "  -f FILE   configuration, default " CONF_PATH "\n"
    "  -c        check the configuration and exit\n"
    "  -d        log debug messages\n"
    "  --prime   write the files that HAProxy loads at start, from the sealed\n"
    "            copies of this node, and exit: run it before HAProxy starts\n"
    "  --export FILE   write all that Redis holds of the fleet, sealed as it "
    "is,\n"
    "            to a new file (-: standard output), and exit\n"
    "  --restore FILE  bring such a file (-: standard input) into an empty "
    "Redis,\n"
    "            with the partitions of the configuration, and exit\n"
    "  -V        print the version and exit\n";

struct options {
	const char *file, *export_to, *restore_from;
	bool check, debug, prime;
};

static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "prime", no_argument, NULL, 'p' },
		{ "export", required_argument, NULL, 'x' },
		{ "restore", required_argument, NULL, 'r' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .file = CONF_PATH };
	while ((c = getopt_long(argc, argv, "cdf:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->check = true;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'f':
			o->file = optarg;
			break;
		case 'p':
			o->prime = true;
			break;
		case 'x':
			o->export_to = optarg;
			break;
		case 'r':
			o->restore_from = optarg;
			break;
		case 'V':
			puts("certfleet-sync " CERTFLEET_VERSION);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "certfleet-sync: what is \"%s\"?\n%s",
		    argv[optind], usage);
		return -1;
	}
	return 0;
}

/* Keys live in this process: no core, no ptrace, no new privileges. */
static void
harden(void)
{
	struct rlimit files, none = { 0, 0 };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	umask(0077);
}

static int
make_directory(const char *path, mode_t mode, struct err *e)
{
	if (mkdir(path, mode) == 0)
		return chmod(path, mode);
	if (errno == EEXIST)
		return 0;
	return err_set(e, ERR_CONFIG,
	    "cannot make %s: %s; create it for the "
	    "user that runs certfleet-sync",
	    path, strerror(errno));
}

/* Are there certificates that a key ring has sealed? */
static bool
has_sealed(const struct conf *conf)
{
	char *path = xasprintf("%s/certs", conf->state_dir);
	DIR *dir = opendir(path);
	const struct dirent *d;
	bool found = false;

	free(path);
	if (dir == NULL)
		return false;
	while (!found && (d = readdir(dir)) != NULL)
		found = d->d_name[0] != '.';
	closedir(dir);
	return found;
}

/* The key ring; at the very first start, a new one. */
static struct seal_ring *
open_ring(const struct conf *conf, struct err *e)
{
	if (access(conf->kek_file, F_OK) == -1 && errno == ENOENT) {
		if (has_sealed(conf)) {
			err_set(e, ERR_CONFIG,
			    "the key ring %s is not there, but what it sealed "
			    "is in %s/certs: put it back, or move those away "
			    "to begin with a new one",
			    conf->kek_file, conf->state_dir);
			return NULL;
		}
		if (seal_ring_create(conf->kek_file, e) == -1)
			return NULL;
		log_warn("a new key that seals all others is in %s: back it "
			 "up, and give the same file to every node",
		    conf->kek_file);
	}
	return seal_ring_load(conf->kek_file, e);
}

static int
run(const struct conf *conf, const struct options *o, struct err *e)
{
	struct seal_ring *ring = NULL;
	struct files *files = NULL;
	int rc = -1, n;

	if (make_directory(conf->state_dir, 0700, e) == -1 ||
	    make_directory(conf->run_dir, 0755, e) == -1 ||
	    (ring = open_ring(conf, e)) == NULL)
		goto out;
	if (o->export_to != NULL || o->restore_from != NULL) {
		rc = o->export_to != NULL
		         ? transfer_export(conf, ring, o->export_to, e)
		         : transfer_restore(conf, ring, o->restore_from, e);
		goto out;
	}
	if ((files = files_new(conf->state_dir, conf->haproxy.cert_dir,
		 conf->haproxy.crt_list, e)) == NULL)
		goto out;
	if (o->prime) {
		n = keep_load(ring, files, NULL, NULL, e);
		platform_prime(conf, files);
		if (n >= 0)
			log_info("primed certificates=%d directory=%s", n,
			    conf->haproxy.cert_dir);
		rc = n >= 0 ? 0 : -1;
	} else {
		rc = node_run(conf, ring, files, e);
	}
out:
	files_free(files);
	seal_ring_free(ring);
	return rc;
}

int
main(int argc, char **argv)
{
	struct options o;
	struct conf *conf;
	struct err e = { 0 };
	int rc;

	mem_begin();
	wiping_begin();
	harden();
	if (parse_options(argc, argv, &o) == -1)
		return 2;
	if (o.check)
		return conf_check(o.file);
	log_open("certfleet-sync", LOG_LEVEL_INFO);
	conf = conf_load(o.file, &e);
	if (conf == NULL)
		return EXIT_CONFIG;
	log_open("certfleet-sync", o.debug ? LOG_LEVEL_DEBUG : conf->log_level);
	rc = run(conf, &o, &e);
	if (rc != 0)
		log_error("%s", e.text);
	conf_free(conf);
	/* One that stood still is started anew. */
	return rc == 0 ? 0 : rc == 1 ? 1 : EXIT_CONFIG;
}
