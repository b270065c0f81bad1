#include "common/seal_change.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "common/b64.h"
#include "common/buf.h"
#include "common/mem.h"
#include "common/seal.h"
#include "common/seal_ring.h"
#include "common/str.h"

#define TEXT_MAX (64 * 1024)

static void
put_keys(const struct seal_ring *ring, struct buf *text)
{
	char base64[B64_SIZE(SEAL_KEY_LEN)], at[STR_TIME_MAX];

	buf_puts(text, SEAL_RING_HEAD);
	for (size_t i = 0; i < ring->nkeys; i++) {
		const struct ring_key *k = &ring->key[i];

		b64_encode(base64, k->key, sizeof(k->key));
		buf_putf(text, "%u %s %s %s\n", k->id,
		    str_time(at, k->created * 1000), seal_state_name(k->state),
		    base64);
	}
	mem_wipe(base64, sizeof(base64));
}

static int
write_beside(const char *temp, const struct stat *was, const struct buf *text)
{
	int fd = open(
	    temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	size_t at = 0;
	ssize_t n = 0;
	int rc;

	if (fd == -1)
		return -1;
	while (at < text->len && n != -1) {
		n = write(fd, text->p + at, text->len - at);
		at += n > 0 ? (size_t)n : 0;
	}
	rc = n == -1 || fsync(fd) == -1 ||
	             fchown(fd, was->st_uid, was->st_gid) == -1 ||
	             fchmod(fd, was->st_mode & 0777) == -1
	         ? -1
	         : 0;
	if (close(fd) == -1)
		rc = -1;
	return rc;
}

static int
write_ring(const char *path, const struct seal_ring *ring, struct err *e)
{
	char *temp = xasprintf("%s.%d.tmp", path, (int)getpid());
	struct buf text;
	struct stat was;
	int rc = -1;

	buf_init(&text, TEXT_MAX);
	put_keys(ring, &text);
	if (stat(path, &was) == 0 && write_beside(temp, &was, &text) == 0)
		rc = rename(temp, path);
	if (rc == 0)
		rc = seal_ring_sync_directory(path);
	if (rc == -1) {
		err_set(e, ERR_CONFIG, "cannot write the key ring %s: %s", path,
		    strerror(errno));
		unlink(temp);
	}
	buf_wipe(&text);
	free(temp);
	return rc;
}

static void
activate(struct seal_ring *ring, struct ring_key *newest)
{
	for (size_t i = 0; i < ring->nkeys; i++)
		if (ring->key[i].state == SEAL_ACTIVE)
			ring->key[i].state = SEAL_RETIRED;
	newest->state = SEAL_ACTIVE;
}

static int
add(struct seal_ring *ring, bool active, uint32_t *id, struct err *e)
{
	struct ring_key *k = &ring->key[ring->nkeys];

	if (ring->nkeys == SEAL_RING_MAX)
		return err_set(e, ERR_REFUSED, "there are too many keys");
	*id = 0;
	for (size_t i = 0; i < ring->nkeys; i++)
		if (ring->key[i].id > *id)
			*id = ring->key[i].id;
	if (*id == UINT32_MAX)
		return err_set(e, ERR_REFUSED, "there is no higher id");
	k->id = ++*id;
	k->created = (int64_t)time(NULL);
	k->state = SEAL_NEXT;
	if (RAND_priv_bytes(k->key, sizeof(k->key)) != 1)
		return err_set(e, ERR_BUG, "OpenSSL has no random bytes");
	ring->nkeys++;
	if (active)
		activate(ring, k);
	return 0;
}

int
seal_ring_add(const char *path, bool active, uint32_t *id, struct err *e)
{
	struct seal_ring *ring = seal_ring_load(path, e);
	int rc = -1;

	if (ring != NULL && add(ring, active, id, e) == 0)
		rc = write_ring(path, ring, e);
	seal_ring_free(ring);
	return rc;
}

static struct ring_key *
find(struct seal_ring *ring, uint32_t id, struct err *e)
{
	for (size_t i = 0; i < ring->nkeys; i++)
		if (ring->key[i].id == id)
			return &ring->key[i];
	err_set(e, ERR_REFUSED, "there is no key %u in the ring", id);
	return NULL;
}

int
seal_ring_activate(const char *path, uint32_t id, struct err *e)
{
	struct seal_ring *ring = seal_ring_load(path, e);
	struct ring_key *k;
	int rc = -1;

	if (ring != NULL && (k = find(ring, id, e)) != NULL) {
		activate(ring, k);
		rc = write_ring(path, ring, e);
	}
	seal_ring_free(ring);
	return rc;
}

int
seal_ring_drop(const char *path, uint32_t id, struct err *e)
{
	struct seal_ring *ring = seal_ring_load(path, e);
	struct ring_key *k;
	int rc = -1;

	if (ring == NULL || (k = find(ring, id, e)) == NULL) {
		seal_ring_free(ring);
		return -1;
	}
	if (k == ring->newest) {
		err_set(e, ERR_REFUSED,
		    "key %u is the one that seals: rotate first", id);
	} else {
		ring->nkeys--;
		for (size_t i = (size_t)(k - ring->key); i < ring->nkeys; i++)
			ring->key[i] = ring->key[i + 1];
		rc = write_ring(path, ring, e);
	}
	seal_ring_free(ring);
	return rc;
}
