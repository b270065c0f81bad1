/*
 * The dashboard: the files of sync/dashboard/, which travel inside the program.
 * They hold nothing of the fleet: that is asked for by a session.
 */
#include <string.h>

#include "sync/api/browser.h"
#include "sync/api/etag.h"

/* The paths are from the top of the tree, where the compiler runs. */
#define FILE_BYTES(symbol, name)                        \
	__asm__(".pushsection .rodata\n"                \
		"asset_" #symbol ":\n"                  \
		".incbin \"sync/dashboard/" name "\"\n" \
		"asset_" #symbol "_end:\n"              \
		".byte 0\n"                             \
		".popsection\n");                       \
	extern const char asset_##symbol[], asset_##symbol##_end[];

FILE_BYTES(page, "index.html")
FILE_BYTES(style, "style.css")
FILE_BYTES(icon, "icon.svg")
FILE_BYTES(main, "main.js")
FILE_BYTES(api, "api.js")
FILE_BYTES(dom, "dom.js")
FILE_BYTES(words, "words.js")
FILE_BYTES(login, "login.js")
FILE_BYTES(domains, "domains.js")
FILE_BYTES(domain, "domain.js")
FILE_BYTES(dialogs, "dialogs.js")
FILE_BYTES(fleet, "fleet.js")
FILE_BYTES(chart, "chart.js")

#define HTML "text/html; charset=utf-8"
#define JS "text/javascript; charset=utf-8"

struct file {
	const char *name, *type, *bytes, *end;
};

/* clang-format off */
static const struct file page =
	{ "", HTML, asset_page, asset_page_end };
static const struct file files[] = {
	{ "style.css", "text/css; charset=utf-8", asset_style, asset_style_end },
	{ "icon.svg", "image/svg+xml", asset_icon, asset_icon_end },
	{ "main.js", JS, asset_main, asset_main_end },
	{ "api.js", JS, asset_api, asset_api_end },
	{ "dom.js", JS, asset_dom, asset_dom_end },
	{ "words.js", JS, asset_words, asset_words_end },
	{ "login.js", JS, asset_login, asset_login_end },
	{ "domains.js", JS, asset_domains, asset_domains_end },
	{ "domain.js", JS, asset_domain, asset_domain_end },
	{ "dialogs.js", JS, asset_dialogs, asset_dialogs_end },
	{ "fleet.js", JS, asset_fleet, asset_fleet_end },
	{ "chart.js", JS, asset_chart, asset_chart_end },
};
/* clang-format on */

static void
show(struct request *q, const struct file *f)
{
	size_t len = (size_t)(f->end - f->bytes);
	char etag[ETAG_SIZE];

	if (!browser_welcome(q))
		return;
	etag_bytes(f->bytes, len, etag);
	browser_headers(q);
	request_file(q, f->type, f->bytes, len, etag);
}

void
dashboard_page(struct request *q)
{
	show(q, &page);
}

void
dashboard_file(struct request *q)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].name, q->param[0]) == 0) {
			show(q, &files[i]);
			return;
		}
	request_not_found(q, "file", NULL);
}
