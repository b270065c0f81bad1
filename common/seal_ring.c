#include "common/seal_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "common/b64.h"
#include "common/mem.h"
#include "common/seal.h"
#include "common/secret.h"
#include "common/str.h"

#define FILE_MAX (64 * 1024)
#define LINE_MAX_LEN 256

static int parse_ring(
    struct seal_ring *, const char *path, const char *text, struct err *);

struct seal_ring *
seal_ring_load(const char *path, struct err *e)
{
	struct seal_ring *ring = NULL;
	struct buf text;

	buf_init(&text, FILE_MAX);
	if (secret_file(path, false, &text, e) == 0) {
		ring = xcalloc(1, sizeof(*ring));
		if (strlen(text.p) != text.len) {
			err_set(e, ERR_CONFIG, "%s has a NUL byte in it", path);
			seal_ring_free(ring);
			ring = NULL;
		} else if (parse_ring(ring, path, text.p, e) == -1) {
			seal_ring_free(ring);
			ring = NULL;
		}
	}
	buf_wipe(&text);
	return ring;
}

void
seal_ring_free(struct seal_ring *ring)
{
	if (ring == NULL)
		return;
	mem_wipe(ring, sizeof(*ring));
	free(ring);
}

const struct ring_key *
seal_ring_key(const struct seal_ring *ring, uint32_t id)
{
	for (size_t i = 0; i < ring->nkeys; i++)
		if (ring->key[i].id == id)
			return &ring->key[i];
	return NULL;
}

static int
parse_created(const char *text, int64_t *seconds)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (end == NULL)
		return -1;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (strcmp(end, "Z") != 0)
		return -1;
	*seconds = timegm(&tm);
	return 0;
}

/* A line cut at its spaces: exactly four words. */
static int
parse_key(char *line, struct ring_key *k, const char **why)
{
	char *word[4];
	int64_t id;
	uint8_t raw[LINE_MAX_LEN];
	ptrdiff_t n;

	for (int i = 0; i < 4; i++) {
		word[i] = line;
		line = line != NULL ? strchr(line, ' ') : NULL;
		if (line != NULL)
			*line++ = '\0';
	}
	*why = "a line is \"id created state base64\"";
	if (word[3] == NULL || line != NULL)
		return -1;
	*why = "the id must be a number from 1 to 4294967295";
	if (str_int(word[0], 1, UINT32_MAX, &id) == -1)
		return -1;
	k->id = (uint32_t)id;
	*why = "created must be a time such as 2026-01-31T12:00:00Z";
	if (parse_created(word[1], &k->created) == -1)
		return -1;
	*why = "the state must be \"active\", \"retired\" or \"next\"";
	if (strcmp(word[2], "active") == 0)
		k->state = SEAL_ACTIVE;
	else if (strcmp(word[2], "retired") == 0)
		k->state = SEAL_RETIRED;
	else if (strcmp(word[2], "next") == 0)
		k->state = SEAL_NEXT;
	else
		return -1;
	*why = "the key must be 32 bytes in base64";
	n = b64_decode(raw, word[3], strlen(word[3]));
	if (n == SEAL_KEY_LEN)
		memcpy(k->key, raw, SEAL_KEY_LEN);
	mem_wipe(raw, sizeof(raw));
	return n == SEAL_KEY_LEN ? 0 : -1;
}

static int
add_key(struct seal_ring *ring, char *line, const char **why)
{
	struct ring_key *k = &ring->key[ring->nkeys];

	*why = "there are too many keys";
	if (ring->nkeys == SEAL_RING_MAX)
		return -1;
	if (parse_key(line, k, why) == -1)
		return -1;
	*why = "the id is there twice";
	if (seal_ring_key(ring, k->id) != NULL)
		return -1;
	ring->nkeys++;
	if (k->state == SEAL_ACTIVE &&
	    (ring->newest == NULL || k->created > ring->newest->created ||
		(k->created == ring->newest->created &&
		    k->id > ring->newest->id)))
		ring->newest = k;
	return 0;
}

static int
parse_ring(
    struct seal_ring *ring, const char *path, const char *text, struct err *e)
{
	char line[LINE_MAX_LEN];
	const char *why = NULL;
	unsigned int number = 0;
	int rc = 0;

	while (*text != '\0' && rc == 0) {
		size_t len = strcspn(text, "\n");

		number++;
		if (len >= sizeof(line)) {
			why = "the line is too long";
			rc = -1;
			break;
		}
		memcpy(line, text, len);
		line[len] = '\0';
		text += len + (text[len] == '\n');
		if (line[0] != '#' && line[0] != '\0')
			rc = add_key(ring, line, &why);
	}
	mem_wipe(line, sizeof(line));
	if (rc == -1)
		return err_set(e, ERR_CONFIG, "%s:%u: %s", path, number, why);
	if (ring->newest == NULL)
		return err_set(
		    e, ERR_CONFIG, "%s: no key in it is active", path);
	return 0;
}

static int
put_file(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

int
seal_ring_sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir =
	    slash != NULL
		? xmemdup0(path, slash > path ? (size_t)(slash - path) : 1)
		: xstrdup(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = -1;

	if (fd != -1) {
		rc = fsync(fd);
		close(fd);
	}
	free(dir);
	return rc;
}

/* link() refuses to replace a ring that somebody else made meanwhile. */
static int
put_new_file(const char *path, const char *text, size_t len)
{
	char *temp = xasprintf("%s.%d.tmp", path, (int)getpid());
	int fd = open(
	    temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int rc = -1, saved;

	if (fd != -1) {
		rc = put_file(fd, text, len);
		if (close(fd) == -1)
			rc = -1;
		if (rc == 0)
			rc = link(temp, path);
		saved = errno;
		unlink(temp);
		errno = saved;
	}
	if (rc == 0)
		rc = seal_ring_sync_directory(path);
	free(temp);
	return rc;
}

int
seal_ring_create(const char *path, struct err *e)
{
	char base64[B64_SIZE(SEAL_KEY_LEN)], now[STR_TIME_MAX];
	uint8_t key[SEAL_KEY_LEN];
	struct buf text;
	int rc = -1;

	buf_init(&text, FILE_MAX);
	str_time(now, (int64_t)time(NULL) * 1000);
	if (RAND_priv_bytes(key, sizeof(key)) != 1) {
		err_set(e, ERR_BUG, "OpenSSL has no random bytes");
	} else {
		b64_encode(base64, key, sizeof(key));
		buf_putf(&text, SEAL_RING_HEAD "1 %s active %s\n", now, base64);
		rc = put_new_file(path, text.p, text.len);
		if (rc == -1)
			err_set(e, ERR_CONFIG,
			    "cannot make the key ring %s: %s", path,
			    strerror(errno));
	}
	mem_wipe(key, sizeof(key));
	mem_wipe(base64, sizeof(base64));
	buf_wipe(&text);
	return rc;
}

uint32_t
seal_ring_seals(const struct seal_ring *ring)
{
	return ring->newest->id;
}

size_t
seal_ring_keys(const struct seal_ring *ring, struct seal_key *out, size_t max)
{
	size_t n = ring->nkeys < max ? ring->nkeys : max;

	for (size_t i = 0; i < n; i++)
		out[i] = (struct seal_key){ .id = ring->key[i].id,
			.created_at = ring->key[i].created * 1000,
			.state = ring->key[i].state };
	return n;
}

const char *
seal_state_name(enum seal_state state)
{
	switch (state) {
	case SEAL_ACTIVE:
		return "active";
	case SEAL_RETIRED:
		return "retired";
	case SEAL_NEXT:
		return "next";
	}
	return "";
}
