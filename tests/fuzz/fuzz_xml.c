/* What parses has names, a bounded depth, and survives being written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "providers/xml.h"

static void
write_node(struct buf *b, const struct xml_node *n, size_t depth)
{
	if (depth > XML_DEPTH_MAX || n->name[0] == '\0')
		abort();
	buf_putf(b, "<%s>", n->name);
	xml_escape(b, n->text.p);
	for (const struct xml_node *c = n->child; c != NULL; c = c->next)
		write_node(b, c, depth + 1);
	buf_putf(b, "</%s>", n->name);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_node *root = xml_parse((const char *)data, size);
	struct buf first, second;

	if (root == NULL)
		return 0;
	buf_init(&first, 1 << 24);
	buf_init(&second, 1 << 24);
	write_node(&first, root, 1);
	xml_free(root);
	root = xml_parse(first.p, first.len);
	if (root == NULL)
		abort();
	write_node(&second, root, 1);
	if (first.len != second.len || memcmp(first.p, second.p, first.len))
		abort();
	xml_free(root);
	buf_clear(&first);
	buf_clear(&second);
	return 0;
}
