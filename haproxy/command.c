#include "haproxy/command.h"

#include <stdint.h>
#include <string.h>

#include "common/str.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define NAME_CHARS LETTERS DIGITS "._/*=@+~-"
#define LABEL_CHARS "abcdefghijklmnopqrstuvwxyz" DIGITS "-"
#define PEM_TYPE_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS " "
#define NAME_LEN_MAX 511
#define HOST_LEN_MAX 253
#define LABEL_LEN_MAX 63
#define PEM_LINE_MAX 76

bool
command_name_ok(const char *s)
{
	size_t len = strlen(s);

	return len <= NAME_LEN_MAX && str_only(s, len, NAME_CHARS) &&
	       strchr("*@-", s[0]) == NULL;
}

bool
command_filter_ok(const char *s)
{
	size_t label;

	if (str_has_prefix(s, "*."))
		s += 2;
	if (strlen(s) > HOST_LEN_MAX)
		return false;
	for (;; s += label + 1) {
		label = strcspn(s, ".");
		if (label > LABEL_LEN_MAX || !str_only(s, label, LABEL_CHARS))
			return false;
		if (s[label] == '\0')
			return true;
	}
}

static int
check_name(const char *name, struct err *e)
{
	char safe[96];

	if (command_name_ok(name))
		return 0;
	return err_set(e, ERR_REFUSED,
	    "\"%s\" cannot be a name in HAProxy: it must be letters, digits "
	    "and ._*=@+~/- only",
	    str_printable(safe, sizeof(safe), name, strlen(name)));
}

static int
too_many(struct err *e)
{
	return err_set(e, ERR_BUG, "more commands than one connection takes");
}

void
command_show_info(struct buf *out)
{
	buf_puts(out, "show info\n");
}

void
command_show_certs(struct buf *out)
{
	buf_puts(out, "show ssl cert\n");
}

int
command_cert(struct buf *out, const char *verb, const char *name, struct err *e)
{
	if (check_name(name, e) == -1)
		return -1;
	if (buf_putf(out, "%s ssl cert %s\n", verb, name) == -1)
		return too_many(e);
	return 0;
}

int
command_add(struct buf *out, const char *list, const char *name,
    const char *filter, struct err *e)
{
	if (check_name(list, e) == -1 || check_name(name, e) == -1)
		return -1;
	if (!command_filter_ok(filter)) {
		char safe[96];

		return err_set(e, ERR_REFUSED,
		    "\"%s\" cannot be served: it must be a host name or \"*.\" "
		    "and one",
		    str_printable(safe, sizeof(safe), filter, strlen(filter)));
	}
	if (buf_putf(out, "add ssl crt-list %s <<\n%s %s\n\n", list, name,
		filter) == -1)
		return too_many(e);
	return 0;
}

int
command_del_entry(struct buf *out, const char *list, const char *name, int line,
    struct err *e)
{
	char number[16] = "";
	struct buf b;

	if (check_name(list, e) == -1 || check_name(name, e) == -1)
		return -1;
	if (line > 0) {
		buf_init(&b, sizeof(number) - 1);
		buf_putf(&b, ":%d", line);
		str_copy(number, sizeof(number), b.p, e);
		buf_clear(&b);
	}
	if (buf_putf(out, "del ssl crt-list %s %s%s\n", list, name, number) ==
	    -1)
		return too_many(e);
	return 0;
}

int
command_show_entries(struct buf *out, const char *list, struct err *e)
{
	if (check_name(list, e) == -1)
		return -1;
	if (buf_putf(out, "show ssl crt-list -n %s\n", list) == -1)
		return too_many(e);
	return 0;
}

int
command_show_table(struct buf *out, const char *name, struct err *e)
{
	if (check_name(name, e) == -1)
		return -1;
	if (buf_putf(out, "show table %s\n", name) == -1)
		return too_many(e);
	return 0;
}

/* "-----BEGIN TYPE-----" or END. */
static bool
is_boundary(const char *line, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len > n + 5 && memcmp(line, word, n) == 0 &&
	       memcmp(line + len - 5, "-----", 5) == 0 &&
	       str_only(line + n, len - n - 5, PEM_TYPE_CHARS);
}

static bool
is_base64(const char *line, size_t len)
{
	unsigned char c;
	size_t i;

	if (len == 0 || len > PEM_LINE_MAX)
		return false;
	for (i = 0; i < len; i++) {
		c = (unsigned char)line[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') &&
		    !(c >= '0' && c <= '9') && c != '+' && c != '/' && c != '=')
			return false;
	}
	return true;
}

/* Not which blocks there are (HAProxy says that), only that it is blocks. */
static int
check_pem(const char *name, const char *pem, size_t len, struct err *e)
{
	const char *p = pem, *end = pem + len, *newline;
	bool inside = false;
	int line = 0;
	size_t n;

	for (; p < end; p = newline + 1) {
		line++;
		newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL)
			break;
		n = (size_t)(newline - p);
		if (!inside && is_boundary(p, n, "-----BEGIN "))
			inside = true;
		else if (inside && is_boundary(p, n, "-----END "))
			inside = false;
		else if (!inside || !is_base64(p, n))
			break;
	}
	if (p < end || inside || line == 0)
		return err_set(e, ERR_REFUSED,
		    "%s is not plain PEM at line %d: only BEGIN and END lines "
		    "with base64 between them are passed on",
		    name, line);
	return 0;
}

int
command_set(struct buf *out, const char *name, const char *pem, size_t len,
    int bufsize, struct err *e)
{
	size_t head = strlen("set ssl cert  <<\n") + strlen(name);
	size_t need = head + len + 1 + COMMAND_MARGIN;
	int64_t enough = 16384;

	if (check_name(name, e) == -1 || check_pem(name, pem, len, e) == -1)
		return -1;
	if (need > (size_t)bufsize) {
		while (enough < (int64_t)need)
			enough *= 2;
		return err_set(e, ERR_REFUSED,
		    "certificate %s needs %zu bytes, HAProxy's tune.bufsize is "
		    "%d: raise tune.bufsize and haproxy.bufsize to %lld",
		    name, need, bufsize, (long long)enough);
	}
	if (head + len + 1 > out->cap - out->len)
		return too_many(e);
	buf_putf(out, "set ssl cert %s <<\n", name);
	buf_put(out, pem, len);
	buf_puts(out, "\n");
	return 0;
}
