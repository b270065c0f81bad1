/*
 * The file is a header, lines of fleet_line.h, and an end that says how many
 * there were and what they come to.
 */
#include "sync/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/conf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/seal.h"
#include "common/str.h"
#include "sync/fleet_read.h"
#include "sync/link.h"
#include "sync/transfer_impl.h"

#define PARTITIONS_MAX 64

void
transfer_digest(const struct fleet_digest *d, char out[static 65])
{
	str_hex(out, d->byte, sizeof(d->byte));
}

struct out {
	FILE *file;
	struct fleet_digest digest;
};

static int
put_line(struct out *o, const json_t *line, struct err *e)
{
	if (json_dumpf(line, o->file, JSON_COMPACT | JSON_PRESERVE_ORDER) ==
		-1 ||
	    fputc('\n', o->file) == EOF)
		return err_set(
		    e, ERR_AGAIN, "cannot write: %s", strerror(errno));
	return 0;
}

static int
on_line(void *arg, const json_t *line, struct err *e)
{
	struct out *o = arg;

	fleet_digest(&o->digest, line);
	return put_line(o, line, e);
}

const char *
transfer_text(const json_t *meta, const char *field)
{
	const char *text = json_string_value(json_object_get(meta, field));

	return text != NULL ? text : "";
}

static int
put_header(struct out *o, struct link *link, const struct conf *conf,
    const struct seal_ring *ring, const json_t *meta, int partitions,
    struct err *e)
{
	json_t *gens = json_array(), *line;
	char at[STR_TIME_MAX];
	struct buf sealed;
	int rc;

	buf_init(&sealed, 4096);
	if (fleet_read_gens(link, conf, partitions, gens, e) == -1 ||
	    seal(ring, "export", transfer_text(meta, "cluster_id"), "",
		TRANSFER_PROOF, strlen(TRANSFER_PROOF), &sealed, e) == -1) {
		json_decref(gens);
		buf_clear(&sealed);
		return -1;
	}
	line = json_pack("{s:s, s:i, s:s, s:i, s:o, s:s, s:O, s:o}", "kind",
	    "certfleet", "format", FLEET_FORMAT, "version", CERTFLEET_VERSION,
	    "partitions", partitions, "gens", gens, "at",
	    str_time(at, loop_wall_ms()), "meta", meta, "proof",
	    fleet_text(sealed.p, sealed.len));
	rc = put_line(o, line, e);
	json_decref(line);
	buf_clear(&sealed);
	return rc;
}

static int
put_end(struct out *o, struct err *e)
{
	char hex[65];
	json_t *line;
	int rc;

	transfer_digest(&o->digest, hex);
	line = json_pack("{s:s, s:I, s:I, s:s}", "kind", "end", "lines",
	    (json_int_t)o->digest.lines, "domains",
	    (json_int_t)o->digest.domains, "digest", hex);
	rc = put_line(o, line, e);
	json_decref(line);
	if (rc == 0 && (fflush(o->file) == EOF ||
			   (o->file != stdout && fsync(fileno(o->file)) == -1)))
		return err_set(
		    e, ERR_AGAIN, "cannot write: %s", strerror(errno));
	return rc;
}

int
transfer_partitions(const json_t *meta, struct err *e)
{
	int64_t n;

	if (json_object_size(meta) == 0)
		return err_set(e, ERR_REFUSED,
		    "there is no fleet in this "
		    "Redis");
	if (strcmp(transfer_text(meta, "schema"), "1") != 0 ||
	    str_int(transfer_text(meta, "partitions"), 1, PARTITIONS_MAX, &n) ==
		-1)
		return err_set(e, ERR_REFUSED,
		    "Redis holds schema \"%.40s\" of certfleet, this program "
		    "knows schema 1",
		    transfer_text(meta, "schema"));
	return (int)n;
}

static int
export_all(struct out *o, struct link *link, const struct conf *conf,
    const struct seal_ring *ring, struct err *e)
{
	json_t *meta = fleet_read_meta(link, conf, e);
	int partitions = meta != NULL ? transfer_partitions(meta, e) : -1,
	    rc = -1;

	if (partitions != -1 &&
	    put_header(o, link, conf, ring, meta, partitions, e) == 0 &&
	    fleet_read(link, conf, partitions, on_line, o, e) == 0)
		rc = put_end(o, e);
	json_decref(meta);
	return rc;
}

static FILE *
create(const char *path, struct err *e)
{
	FILE *file;
	int fd;

	if (strcmp(path, "-") == 0)
		return stdout;
	fd = open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1 || (file = fdopen(fd, "w")) == NULL) {
		err_set(
		    e, ERR_CONFIG, "cannot make %s: %s", path, strerror(errno));
		return NULL;
	}
	return file;
}

int
transfer_export(const struct conf *conf, const struct seal_ring *ring,
    const char *path, struct err *e)
{
	struct out o = { 0 };
	struct link *link = link_open(conf, e);
	char hex[65];
	int rc = -1;

	if (link != NULL && (o.file = create(path, e)) != NULL)
		rc = export_all(&o, link, conf, ring, e);
	link_close(link);
	if (o.file != NULL && o.file != stdout) {
		if (fclose(o.file) == EOF && rc == 0)
			rc = err_set(e, ERR_AGAIN, "cannot write %s: %s", path,
			    strerror(errno));
		if (rc == -1)
			unlink(path); /* half of it is worth nothing */
	}
	transfer_digest(&o.digest, hex);
	if (rc == 0)
		log_info("exported domains=%lld lines=%lld digest=%s",
		    (long long)o.digest.domains, (long long)o.digest.lines,
		    hex);
	return rc;
}
