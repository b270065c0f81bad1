#include "providers/xml.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct reader {
	const char *p, *end;
	struct xml_node *open[XML_DEPTH_MAX];
	size_t depth, nodes;
	struct xml_node *root;
};

static bool
looking_at(const struct reader *r, const char *s)
{
	size_t len = strlen(s);

	return len <= (size_t)(r->end - r->p) && memcmp(r->p, s, len) == 0;
}

/* Go behind the next s; -1 when there is none. */
static int
skip_past(struct reader *r, const char *s)
{
	const char *at = memmem(r->p, (size_t)(r->end - r->p), s, strlen(s));

	if (at == NULL)
		return -1;
	r->p = at + strlen(s);
	return 0;
}

static int
put_utf8(struct buf *b, uint32_t c)
{
	char s[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -1;
	for (size_t i = n - 1; i > 0; i--, c >>= 6)
		s[i] = (char)(0x80 | (c & 0x3f));
	s[0] = (char)(n == 1 ? c : (0xf00u >> n & 0xf0) | c);
	return buf_put(b, s, n);
}

/* &#...; with s behind the number sign, up to its semicolon. */
static int
put_reference(struct buf *b, const char *s, size_t len)
{
	unsigned int base = len > 0 && *s == 'x' ? 16 : 10;
	uint32_t c = 0;

	if (base == 16)
		s++, len--;
	if (len == 0 || len > 8)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned char d = (unsigned char)s[i];

		if (base == 16 ? !isxdigit(d) : !isdigit(d))
			return -1;
		c = c * base + (isdigit(d) ? d - (unsigned int)'0'
					   : (d | 0x20u) - 'a' + 10u);
		if (c > 0x10ffff)
			return -1;
	}
	return put_utf8(b, c);
}

/* s behind the ampersand, up to its semicolon. */
static int
put_entity(struct buf *b, const char *s, size_t len)
{
	static const struct {
		const char *name, *text;
	} entities[] = {
		{ "quot", "\"" },
		{ "amp", "&" },
		{ "apos", "'" },
		{ "lt", "<" },
		{ "gt", ">" },
	};

	if (len > 0 && *s == '#')
		return put_reference(b, s + 1, len - 1);
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (strlen(entities[i].name) == len &&
		    memcmp(entities[i].name, s, len) == 0)
			return buf_puts(b, entities[i].text);
	return -1;
}

/* Text up to the next tag. */
static int
read_text(struct reader *r)
{
	struct buf *b = r->depth > 0 ? &r->open[r->depth - 1]->text : NULL;

	while (r->p < r->end && *r->p != '<') {
		const char *semi;
		int rc;

		/* Outside of the root there is nothing but white space. */
		if (b == NULL) {
			if (!isspace((unsigned char)*r->p++))
				return -1;
			continue;
		}
		if (*r->p != '&') {
			if (*r->p == '\0' || buf_put(b, r->p++, 1) == -1)
				return -1;
			continue;
		}
		semi = memchr(r->p, ';', (size_t)(r->end - r->p));
		if (semi == NULL)
			return -1;
		rc = put_entity(b, r->p + 1, (size_t)(semi - r->p - 1));
		if (rc == -1)
			return -1;
		r->p = semi + 1;
	}
	return 0;
}

static int
read_cdata(struct reader *r)
{
	const char *from;

	r->p += strlen("<![CDATA[");
	from = r->p;
	if (r->depth == 0 || skip_past(r, "]]>") == -1 ||
	    memchr(from, '\0', (size_t)(r->p - from)) != NULL)
		return -1;
	return buf_put(&r->open[r->depth - 1]->text, from,
	    (size_t)(r->p - from) - strlen("]]>"));
}

/* A name without its prefix. */
static int
read_name(struct reader *r, char name[static XML_NAME_MAX])
{
	size_t n = 0;

	for (; r->p < r->end; r->p++) {
		unsigned char c = (unsigned char)*r->p;

		if (c == ':')
			n = 0;
		else if (!isalnum(c) && c != '_' && c != '-' && c != '.' &&
			 c < 0x80)
			break;
		else if (n == XML_NAME_MAX - 1)
			return -1;
		else
			name[n++] = (char)c;
	}
	name[n] = '\0';
	return n > 0 ? 0 : -1;
}

/* Attributes, up to and with the end of the tag. */
static int
skip_attributes(struct reader *r, bool *empty)
{
	char quote = '\0';

	*empty = false;
	for (; r->p < r->end; r->p++) {
		if (quote != '\0') {
			if (*r->p == quote)
				quote = '\0';
		} else if (*r->p == '"' || *r->p == '\'') {
			quote = *r->p;
		} else if (*r->p == '<') {
			return -1;
		} else if (*r->p == '>') {
			*empty = r->p[-1] == '/';
			r->p++;
			return 0;
		}
	}
	return -1;
}

static int
read_start(struct reader *r)
{
	struct xml_node *node, *parent;
	bool empty;

	if (r->depth == XML_DEPTH_MAX || r->nodes++ == XML_NODES_MAX ||
	    (r->depth == 0 && r->root != NULL))
		return -1;
	parent = r->depth > 0 ? r->open[r->depth - 1] : NULL;
	node = xcalloc(1, sizeof(*node));
	buf_init(&node->text, (size_t)(r->end - r->p));
	if (parent == NULL)
		r->root = node;
	else if (parent->last == NULL)
		parent->child = node;
	else
		parent->last->next = node;
	if (parent != NULL)
		parent->last = node;
	r->p++;
	if (read_name(r, node->name) == -1 || skip_attributes(r, &empty) == -1)
		return -1;
	if (!empty)
		r->open[r->depth++] = node;
	return 0;
}

static int
read_end(struct reader *r)
{
	char name[XML_NAME_MAX];

	r->p += strlen("</");
	if (r->depth == 0 || read_name(r, name) == -1 ||
	    strcmp(name, r->open[r->depth - 1]->name) != 0)
		return -1;
	while (r->p < r->end && isspace((unsigned char)*r->p))
		r->p++;
	if (r->p == r->end || *r->p++ != '>')
		return -1;
	r->depth--;
	return 0;
}

static int
read_markup(struct reader *r)
{
	if (looking_at(r, "<!--"))
		return skip_past(r, "-->");
	if (looking_at(r, "<![CDATA["))
		return read_cdata(r);
	if (looking_at(r, "<?"))
		return skip_past(r, "?>");
	if (looking_at(r, "<!"))
		return -1;
	return looking_at(r, "</") ? read_end(r) : read_start(r);
}

struct xml_node *
xml_parse(const char *text, size_t len)
{
	struct reader r = { .p = text, .end = text + len };

	while (r.p < r.end) {
		if (read_text(&r) == -1 ||
		    (r.p < r.end && read_markup(&r) == -1)) {
			xml_free(r.root);
			return NULL;
		}
	}
	if (r.depth > 0) {
		xml_free(r.root);
		return NULL;
	}
	return r.root;
}

/* As deep as XML_DEPTH_MAX. */
void
xml_free(struct xml_node *node)
{
	while (node != NULL) {
		struct xml_node *next = node->next;

		xml_free(node->child);
		buf_clear(&node->text);
		free(node);
		node = next;
	}
}

const struct xml_node *
xml_child(const struct xml_node *node, const char *name)
{
	node = node != NULL ? node->child : NULL;
	while (node != NULL && strcmp(node->name, name) != 0)
		node = node->next;
	return node;
}

const struct xml_node *
xml_next(const struct xml_node *node)
{
	const char *name = node->name;

	do
		node = node->next;
	while (node != NULL && strcmp(node->name, name) != 0);
	return node;
}

const char *
xml_text(const struct xml_node *node, const char *child)
{
	node = xml_child(node, child);
	return node != NULL ? node->text.p : "";
}

int
xml_escape(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++) {
		int rc;

		switch (*s) {
		case '&':
			rc = buf_puts(b, "&amp;");
			break;
		case '<':
			rc = buf_puts(b, "&lt;");
			break;
		case '>':
			rc = buf_puts(b, "&gt;");
			break;
		default:
			rc = buf_put(b, s, 1);
		}
		if (rc == -1)
			return -1;
	}
	return 0;
}
