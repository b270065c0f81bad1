/* Bodies and targets from outside: read, complained about, told again. */
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "sync/api/json.h"
#include "sync/api/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
has(const char *pem)
{
	return pem != NULL && pem[0] != '\0';
}

/* Whatever a body says, it is a name in its one form or a complaint. */
static void
read_body(const char *text, size_t len)
{
	char again[DOMAIN_NAME_MAX];
	struct domain_change c;
	struct err e = { 0 };
	json_t *body = json_body(text, len, &e), *errors;
	char *told;

	if (body == NULL) {
		if (e.kind != ERR_REFUSED || e.text[0] == '\0')
			abort();
		return;
	}
	errors = json_object();
	if (json_domain_change(body, true, &c, errors) == 0) {
		if (domain_normalise(c.name, again, &e) == -1 ||
		    strcmp(c.name, again) != 0)
			abort();
		/* A certificate never comes without its key, nor alone. */
		if (has(c.tlscert) != has(c.tlskey))
			abort();
	} else {
		told = json_dumps(errors, 0);
		if (told == NULL || json_object_size(errors) == 0)
			abort();
		free(told);
	}
	json_decref(errors);
	json_forget(body);
}

/* No segment is longer than what was sent, and none leaves the buffer. */
static void
read_target(const char *text)
{
	const char *param[TARGET_PARAMS] = { NULL };
	struct target t;
	struct err e = { 0 };
	int64_t n;

	if (target_parse(text, &t, &e) == -1)
		return;
	for (size_t i = 0; i < t.nsegments; i++)
		if (t.segment[i] < t.text ||
		    t.segment[i] + strlen(t.segment[i]) >=
			t.text + sizeof(t.text))
			abort();
	for (size_t i = 0; i < t.nqueries; i++)
		if (target_query(&t, t.key[i]) == NULL)
			abort();
	if (target_int(&t, "n", 1, 9, 5, &n, &e) == 0 && (n < 1 || n > 9))
		abort();
	if (target_match(&t, "/v1/apps/:app/domains/:id", param) &&
	    (param[0][0] == '\0' || param[1][0] == '\0'))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = xmemdup0(bytes, len);

	read_body(text, len);
	read_target(text);
	free(text);
	return 0;
}
