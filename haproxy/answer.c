#include "haproxy/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/str.h"

/*
 * Prefix and what follows the name; end NULL: the text needs only to start
 * like that.  The first that fits is taken.
 */
static const struct {
	enum answer_kind kind;
	const char *start;
	const char *end;
} texts[] = {
	/* clang-format off */
	{ ANSWER_NEW, "New empty certificate store '", "'!" },
	{ ANSWER_EXISTS, "Certificate '", "' already exists!" },
	{ ANSWER_CREATED, "Transaction created for certificate ", "!" },
	{ ANSWER_UPDATED, "Transaction updated for certificate ", "!" },
	{ ANSWER_ABORTED, "Transaction aborted for certificate '", "'!" },
	{ ANSWER_DELETED, "Certificate '", "' deleted!" },
	{ ANSWER_NO_TRANSACTION, "No ongoing transaction!", NULL },
	{ ANSWER_LOCKED, "Operations on certificates are currently locked!",
	    NULL },
	{ ANSWER_MISSING, "Can't replace a certificate which is not "
	    "referenced by the configuration!", NULL },
	{ ANSWER_NO_LIST, "Can't edit the crt-list: crt-list '",
	    "' does not exist!" },
	{ ANSWER_NO_LIST, "Can't delete the entry: crt-list '",
	    "' does not exist!" },
	{ ANSWER_NO_LIST, "didn't find the specified filename", NULL },
	{ ANSWER_MISSING, "Can't edit the crt-list: certificate '",
	    "' does not exist!" },
	{ ANSWER_MISSING, "Can't delete the entry: certificate '",
	    "' does not exist!" },
	{ ANSWER_MISSING, "Can't remove the certificate: certificate '",
	    "' doesn't exist!" },
	{ ANSWER_MISSING, "Can't display the certificate: Not found", NULL },
	{ ANSWER_IN_USE, "Can't remove the certificate: certificate '",
	    "' in use, can't be deleted!" },
	{ ANSWER_TRANSACTION_OTHER, "Can't remove the certificate: ongoing "
	    "transaction for the certificate '", "'" },
	{ ANSWER_TOO_BIG, "The command is too big", NULL },
	{ ANSWER_TOO_BIG, "The command line is too big", NULL },
	{ ANSWER_TOO_BIG, "The payload is too big", NULL },
	{ ANSWER_BAD_PEM, "unable to load ", NULL },
	{ ANSWER_BAD_PEM, "inconsistencies between ", NULL },
	{ ANSWER_BAD_PEM, "The transaction must contain ", NULL },
	{ ANSWER_BAD_PEM, "Can't load the payload", NULL },
	{ ANSWER_DENIED, "Permission denied", NULL },
	{ ANSWER_DENIED, "Can't allocate memory!", NULL },
	/* clang-format on */
};

/* Length of the prompts at the front; *partial: one may be cut in half. */
static size_t
prompts(const char *p, size_t len, bool *partial)
{
	size_t n = 0;

	while (len - n >= 2 && (p[n] == '>' || p[n] == '+') && p[n + 1] == ' ')
		n += 2;
	*partial = len - n == 1 && (p[n] == '>' || p[n] == '+');
	return n;
}

bool
answer_split(const char *bytes, size_t len, size_t *scanned, const char **text,
    size_t *text_len, size_t *used)
{
	bool partial;
	size_t start = prompts(bytes, len, &partial), from;
	const char *end;

	if (partial || start == len)
		return false;
	*text = bytes + start;
	if (bytes[start] == '\n') {
		*text_len = 0;
		*used = start + 1;
		*scanned = 0;
		return true;
	}
	/* The first half of the end may be the last byte looked at. */
	from = *scanned > start ? *scanned - 1 : start;
	end = memmem(bytes + from, len - from, "\n\n", 2);
	if (end == NULL) {
		*scanned = len;
		return false;
	}
	*text_len = (size_t)(end - *text);
	*used = (size_t)(end - bytes) + 2;
	*scanned = 0;
	return true;
}

/*
 * Copy a name that ends where the text says; false when it does not fit or is
 * not printable: it goes into sentences.
 */
static bool
take_name(struct answer *a, const char *name, size_t len)
{
	size_t i;

	if (len == 0 || len >= sizeof(a->name))
		return false;
	for (i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	memcpy(a->name, name, len);
	a->name[len] = '\0';
	return true;
}

static bool
fits(struct answer *a, const char *text, const char *start, const char *end)
{
	size_t len;

	if (!str_has_prefix(text, start))
		return false;
	if (end == NULL)
		return true;
	text += strlen(start);
	len = strlen(text);
	return str_has_suffix(text, end) && memchr(text, '\n', len) == NULL &&
	       take_name(a, text, len - strlen(end));
}

/* "Committing NAME...": a dot for each use, then perhaps warnings. */
static bool
is_committed(struct answer *a, const char *text)
{
	size_t len = strcspn(text, "\n");

	if (!str_has_prefix(text, "Committing ") ||
	    !str_has_suffix(text, "\nSuccess!"))
		return false;
	while (len > 0 && text[len - 1] == '.')
		len--;
	return len > 11 && take_name(a, text + 11, len - 11);
}

static bool
is_inserted(struct answer *a, const char *text)
{
	const char *end;

	if (!str_has_prefix(text, "Inserting certificate '") ||
	    !str_has_suffix(text, "\nSuccess!"))
		return false;
	text += strlen("Inserting certificate '");
	end = strstr(text, "' in crt-list '");
	return end != NULL && take_name(a, text, (size_t)(end - text));
}

static bool
is_between(
    struct answer *a, const char *text, const char *start, const char *middle)
{
	const char *end;

	if (!str_has_prefix(text, start))
		return false;
	text += strlen(start);
	end = strstr(text, middle);
	return end != NULL && take_name(a, text, (size_t)(end - text));
}

void
answer_parse(const char *text, struct answer *a)
{
	size_t i;

	*a = (struct answer){ .kind = ANSWER_UNKNOWN };
	if (text[0] == '\0')
		a->kind = ANSWER_EMPTY;
	else if (is_committed(a, text))
		a->kind = ANSWER_COMMITTED;
	else if (is_inserted(a, text))
		a->kind = ANSWER_INSERTED;
	else if (is_between(a, text, "The ongoing transaction is about '",
		     "' but you are trying to "))
		a->kind = ANSWER_TRANSACTION_OTHER;
	else if (is_between(a, text,
		     "Can't delete the entry: found the certificate '",
		     "' in several entries"))
		a->kind = ANSWER_SEVERAL;
	else if (is_between(a, text, "Entry '", "' deleted in crtlist '"))
		a->kind = ANSWER_ENTRY_DELETED;
	else if (is_between(a, text, "Can't delete the entry: certificate '",
		     "' can't be found in crt-list '"))
		a->kind = ANSWER_MISSING;
	for (i = 0;
	     a->kind == ANSWER_UNKNOWN && i < sizeof(texts) / sizeof(texts[0]);
	     i++)
		if (fits(a, text, texts[i].start, texts[i].end))
			a->kind = texts[i].kind;
	if (a->kind == ANSWER_UNKNOWN)
		a->name[0] = '\0';
}

/* The value of "Key: value" at the start of a line, or NULL. */
static const char *
value(const char *text, const char *key, size_t *len)
{
	size_t n = strlen(key);
	const char *line = text;

	while (line != NULL) {
		if (strncmp(line, key, n) == 0 &&
		    strncmp(line + n, ": ", 2) == 0) {
			*len = strcspn(line + n + 2, "\n");
			return line + n + 2;
		}
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	return NULL;
}

static int
number(const char *text, const char *key, int64_t max, int64_t *v)
{
	size_t len;
	const char *s = value(text, key, &len);
	char copy[24];

	if (s == NULL || len == 0 || len >= sizeof(copy))
		return -1;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return str_int(copy, 0, max, v);
}

int
answer_info(const char *text, struct answer_info *info)
{
	int64_t pid, stopping = 0;
	const char *version;
	size_t len;

	*info = (struct answer_info){ 0 };
	if (number(text, "Pid", INT32_MAX, &pid) == -1 ||
	    number(text, "Uptime_sec", INT64_MAX, &info->uptime_s) == -1)
		return -1;
	info->pid = (int)pid;
	/* Not before 2.6; without it the pid alone has to tell. */
	(void)number(text, "Start_time_sec", INT64_MAX, &info->started_at);
	(void)number(text, "Stopping", INT32_MAX, &stopping);
	info->stopping = stopping != 0;
	version = value(text, "Version", &len);
	if (version != NULL)
		str_printable(info->version, sizeof(info->version), version,
		    len < 31 ? len : 31);
	return 0;
}

/* Cut the next line off *p, in place; NULL when there is none. */
static char *
next_line(char **p)
{
	char *line = *p, *end;

	if (line == NULL || line[0] == '\0')
		return NULL;
	end = strchr(line, '\n');
	if (end != NULL)
		*end++ = '\0';
	*p = end;
	return line;
}

int
answer_names(const char *text, answer_name_fn *fn, void *arg)
{
	char *copy, *p, *line;
	bool open = false;

	if (text[0] != '#')
		return -1;
	p = copy = xstrdup(text);
	while ((line = next_line(&p)) != NULL) {
		if (line[0] == '#')
			open = strcmp(line, "# transaction") == 0;
		else if (open && line[0] == '*')
			fn(arg, line + 1, true);
		else
			fn(arg, line, false);
	}
	free(copy);
	return 0;
}

/* "NAME:LINE [options] filter filter" */
static void
entry(char *line, answer_entry_fn *fn, void *arg)
{
	char *rest = strchr(line, ' '), *colon, *bracket;
	int64_t n;

	if (rest != NULL)
		*rest++ = '\0';
	else
		rest = line + strlen(line);
	colon = strrchr(line, ':');
	if (colon == NULL || str_int(colon + 1, 1, INT32_MAX, &n) == -1)
		return;
	*colon = '\0';
	if (rest[0] == '[' && (bracket = strchr(rest, ']')) != NULL)
		rest = bracket + 1;
	rest += strspn(rest, " ");
	fn(arg, line, (int)n, rest);
}

int
answer_entries(const char *text, answer_entry_fn *fn, void *arg)
{
	char *copy, *p, *line;

	if (text[0] != '#')
		return -1;
	p = copy = xstrdup(text);
	while ((line = next_line(&p)) != NULL)
		if (line[0] != '#')
			entry(line, fn, arg);
	free(copy);
	return 0;
}

int
answer_sha1(
    const char *text, const char *name, char out[static ANSWER_SHA1_MAX])
{
	size_t len;
	const char *s = value(text, "Filename", &len);

	out[0] = '\0';
	if (s != text + strlen("Filename: ") || len != strlen(name) ||
	    memcmp(s, name, len) != 0)
		return -1;
	s = value(text, "SHA1 FingerPrint", &len);
	if (s == NULL)
		return 0;
	if (len != ANSWER_SHA1_MAX - 1 || !str_only(s, len, "0123456789ABCDEF"))
		return -1;
	memcpy(out, s, len);
	out[len] = '\0';
	return 0;
}

/* "Feb  1 23:53:04 2027 GMT", as OpenSSL writes it. */
uint32_t
answer_ends(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = { 0 };
	const char *month, *s;
	char name[4];
	int64_t t;
	size_t len;
	int end = 0;

	s = value(text, "notAfter", &len);
	if (s == NULL ||
	    sscanf(s, "%3[A-Za-z] %2d %2d:%2d:%2d %4d GMT%n", name, &tm.tm_mday,
		&tm.tm_hour, &tm.tm_min, &tm.tm_sec, &tm.tm_year, &end) != 6 ||
	    (size_t)end != len || strlen(name) != 3)
		return 0;
	month = strstr(months, name);
	if (month == NULL || (month - months) % 3 != 0)
		return 0;
	tm.tm_mon = (int)(month - months) / 3;
	tm.tm_year -= 1900;
	t = timegm(&tm);
	if (t <= 0)
		return 0;
	return t < UINT32_MAX ? (uint32_t)t : UINT32_MAX;
}
