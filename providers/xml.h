/*
 * The little of XML that providers answer with: elements and their text.
 *
 * Namespace prefixes and attributes are dropped, the five entities, numeric
 * references and CDATA understood.  A DOCTYPE is refused: entities of its own
 * are how a small text becomes a big one.
 */
#ifndef PROVIDERS_XML_H
#define PROVIDERS_XML_H

#include <stddef.h>

#include "common/buf.h"

#define XML_DEPTH_MAX 32
#define XML_NODES_MAX 20000
#define XML_NAME_MAX 64

struct xml_node {
	char name[XML_NAME_MAX]; /* without prefix */
	struct buf text;         /* of this element alone, joined */
	struct xml_node *child;  /* the first */
	struct xml_node *last;   /* of the children */
	struct xml_node *next;   /* sibling */
};

/* The root element, or NULL when it is not well-formed or too big. */
struct xml_node *xml_parse(const char *, size_t len);
void xml_free(struct xml_node *);

/* The first child of that name; NULL when there is none, or no node. */
const struct xml_node *xml_child(const struct xml_node *, const char *name);

/* The next sibling of the same name, or NULL. */
const struct xml_node *xml_next(const struct xml_node *);

/* The text of the first child of that name, "" when there is none. */
const char *xml_text(const struct xml_node *, const char *child);

/* Append text with the characters escaped that mean something in XML. */
int xml_escape(struct buf *, const char *);

#endif
