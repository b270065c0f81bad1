#include "providers/xmlrpc.h"

#include <string.h>

#include "common/str.h"
#include "providers/xml.h"

static int put_value(struct buf *, json_t *);

static int
put_member(struct buf *b, const char *name, json_t *value)
{
	if (buf_puts(b, "<member><name>") == -1 || xml_escape(b, name) == -1 ||
	    buf_puts(b, "</name>") == -1 || put_value(b, value) == -1)
		return -1;
	return buf_puts(b, "</member>");
}

static int
put_struct(struct buf *b, json_t *object)
{
	const char *name;
	json_t *value;

	if (buf_puts(b, "<struct>") == -1)
		return -1;
	json_object_foreach (object, name, value)
		if (put_member(b, name, value) == -1)
			return -1;
	return buf_puts(b, "</struct>");
}

/* Only what is called with: integers, strings, structs of these. */
static int
put_value(struct buf *b, json_t *v)
{
	int rc;

	if (buf_puts(b, "<value>") == -1)
		return -1;
	if (json_is_object(v))
		rc = put_struct(b, v);
	else if (json_is_integer(v))
		rc = buf_putf(b, "<int>%" JSON_INTEGER_FORMAT "</int>",
		    json_integer_value(v));
	else if (buf_puts(b, "<string>") == -1 ||
		 xml_escape(b, json_string_value(v)) == -1)
		rc = -1;
	else
		rc = buf_puts(b, "</string>");
	return rc == -1 ? -1 : buf_puts(b, "</value>");
}

static int
put_param(struct buf *b, json_t *value)
{
	if (buf_puts(b, "<param>") == -1 || put_value(b, value) == -1)
		return -1;
	return buf_puts(b, "</param>");
}

int
xmlrpc_put_call(
    struct buf *b, const char *method, const char *first, json_t *params)
{
	json_t *value;
	size_t i;

	if (buf_putf(b,
		"<?xml version=\"1.0\"?><methodCall><methodName>%s</methodName>"
		"<params><param><value><string>",
		method) == -1 ||
	    xml_escape(b, first) == -1 ||
	    buf_puts(b, "</string></value></param>") == -1)
		return -1;
	json_array_foreach (params, i, value)
		if (put_param(b, value) == -1)
			return -1;
	return buf_puts(b, "</params></methodCall>");
}

static json_t *value_of(const struct xml_node *);

/* A member without a name or a value is passed over. */
static json_t *
struct_of(const struct xml_node *node)
{
	json_t *object = json_object();
	const struct xml_node *m;

	for (m = xml_child(node, "member"); m != NULL; m = xml_next(m)) {
		json_t *v = value_of(xml_child(m, "value"));

		if (v != NULL)
			json_object_set_new(object, xml_text(m, "name"), v);
	}
	return object;
}

static json_t *
array_of(const struct xml_node *node)
{
	json_t *array = json_array();
	const struct xml_node *v = xml_child(xml_child(node, "data"), "value");

	for (; v != NULL; v = xml_next(v)) {
		json_t *value = value_of(v);

		if (value != NULL)
			json_array_append_new(array, value);
	}
	return array;
}

/* NULL: a number that is none, text that is no UTF-8, no value at all. */
static json_t *
value_of(const struct xml_node *value)
{
	const struct xml_node *node;
	int64_t n;

	if (value == NULL)
		return NULL;
	node = value->child;
	if (node == NULL)
		return json_string(value->text.p);
	if (strcmp(node->name, "struct") == 0)
		return struct_of(node);
	if (strcmp(node->name, "array") == 0)
		return array_of(node);
	if (strcmp(node->name, "nil") == 0)
		return json_null();
	if (strcmp(node->name, "boolean") == 0)
		return json_boolean(strcmp(node->text.p, "1") == 0);
	if (strcmp(node->name, "int") != 0 && strcmp(node->name, "i4") != 0)
		return json_string(node->text.p);
	if (str_int(node->text.p, INT32_MIN, INT32_MAX, &n) == -1)
		return NULL;
	return json_integer(n);
}

json_t *
xmlrpc_response(const char *text, size_t len, bool *fault)
{
	struct xml_node *root = xml_parse(text, len);
	const struct xml_node *at;
	json_t *v = NULL;

	*fault = false;
	if (root != NULL && strcmp(root->name, "methodResponse") == 0) {
		at = xml_child(root, "fault");
		*fault = at != NULL;
		if (at == NULL)
			at = xml_child(xml_child(root, "params"), "param");
		v = value_of(xml_child(at, "value"));
	}
	xml_free(root);
	return v;
}
