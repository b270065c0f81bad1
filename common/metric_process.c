/* The process as /proc shows it, under the names that Prometheus's own use. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/metric.h"

static double
seconds(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

/* Resident pages, 0 when they are not to be had. */
static double
resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t size, pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%" SCNu64 " %" SCNu64, &size, &pages) != 2)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double
open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 3; /* ".", ".." and the directory itself */
}

void
metric_process(struct buf *out)
{
	struct rusage used = { 0 };
	struct rlimit files = { 0 };

	getrusage(RUSAGE_SELF, &used);
	getrlimit(RLIMIT_NOFILE, &files);
	metric_head(
	    out, "certfleet_build_info", "gauge", "What runs: always 1.");
	metric_line(out, "certfleet_build_info",
	    "version=\"" CERTFLEET_VERSION "\"", 1);
	metric_head(out, "process_cpu_seconds_total", "counter",
	    "Processor time used, user and system.");
	metric_line(out, "process_cpu_seconds_total", "",
	    seconds(&used.ru_utime) + seconds(&used.ru_stime));
	metric_gauge(
	    out, "process_resident_memory_bytes", "Memory in use.", resident());
	metric_gauge(
	    out, "process_open_fds", "Descriptors in use.", open_files());
	metric_gauge(out, "process_max_fds", "Descriptors allowed.",
	    (double)files.rlim_cur);
}
