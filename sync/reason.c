#include "sync/reason.h"

#include <stddef.h>
#include <string.h>

int
reason_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} reasons[] = {
		{ "unspecified", 0 },
		{ "keyCompromise", 1 },
		{ "superseded", 4 },
		{ "cessationOfOperation", 5 },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i].name, name) == 0)
			return reasons[i].number;
	return -1;
}
