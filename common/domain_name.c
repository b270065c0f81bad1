/* Names: the one normaliser, and what can be known from a name alone. */
#include <arpa/inet.h>
#include <ctype.h>
#include <idn2.h>
#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>

#include "common/domain.h"
#include "common/domain_name.h"
#include "common/str.h"

#define INPUT_MAX 1024 /* bytes of a name worth looking at */
#define LABEL_MAX 63
#define SHOWN_MAX 80 /* of foreign text in a message */
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-."
#define IDN_FLAGS (IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)

/* --- form: what can be said without IDNA and without the list ------------- */

static int
check_label(const char *label, size_t len, const char *shown, struct err *e)
{
	if (len == 0)
		return err_set(
		    e, ERR_REFUSED, "\"%s\" has an empty label", shown);
	if (len > LABEL_MAX)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" has a label of %zu characters; at most %d are "
		    "allowed between two dots",
		    shown, len, LABEL_MAX);
	if (label[0] == '-' || label[len - 1] == '-')
		return err_set(e, ERR_REFUSED,
		    "\"%s\" has a label that begins or ends with a hyphen",
		    shown);
	if (len >= 4 && label[2] == '-' && label[3] == '-' &&
	    strncmp(label, "xn--", 4) != 0)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" has a label with \"--\" in third place, which "
		    "only \"xn--\" may have",
		    shown);
	return 0;
}

/* An address, or what some resolver would take for one: "1.2", "0x7f.1". */
static bool
is_address(const char *base)
{
	const char *last = strrchr(base, '.');
	struct in6_addr v6;

	last = last != NULL ? last + 1 : base;
	if (inet_pton(AF_INET6, base, &v6) == 1 ||
	    str_only(last, strlen(last), "0123456789"))
		return true;
	return str_has_prefix(last, "0x") &&
	       strspn(last + 2, "0123456789abcdef") == strlen(last + 2);
}

static int
check_labels(const char *base, const char *shown, struct err *e)
{
	size_t nlabels = 0;

	for (const char *p = base;; p++) {
		size_t len = strcspn(p, ".");

		if (check_label(p, len, shown, e) == -1)
			return -1;
		nlabels++;
		p += len;
		if (*p == '\0')
			break;
	}
	if (nlabels < 2)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" has no dot; a full name such as "
		    "www.example.com is needed",
		    shown);
	if (nlabels > DOMAIN_LABELS_MAX)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" has %zu labels; at most %d can get a certificate",
		    shown, nlabels, DOMAIN_LABELS_MAX);
	return 0;
}

/* name is ASCII and in lower case; shown is what the messages call it. */
static int
check_form(const char *name, const char *shown, struct err *e)
{
	const char *base = domain_base(name);

	if (strchr(base, '*') != NULL)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" has a \"*\" that is not the whole first label; "
		    "only *.example.com is possible",
		    shown);
	if (base[0] != '\0' && is_address(base))
		return err_set(e, ERR_REFUSED,
		    "\"%s\" is an IP address, not a domain name", shown);
	if (base[0] != '\0' && !str_only(base, strlen(base), NAME_CHARS))
		return err_set(e, ERR_REFUSED,
		    "\"%s\" has characters other than letters, digits and "
		    "hyphens",
		    shown);
	if (strlen(name) >= DOMAIN_NAME_MAX)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" is %zu characters long; at most %d are allowed",
		    shown, strlen(name), DOMAIN_NAME_MAX - 1);
	return check_labels(base, shown, e);
}

int
domain_name_check(const char *name, struct err *e)
{
	char shown[SHOWN_MAX];

	str_printable(shown, sizeof(shown), name, strlen(name));
	return check_form(name, shown, e);
}

/* --- the normaliser --------------------------------------------------------- */

/*
 * Libpsl's own list, or the system's when that is newer.  Loaded once, kept
 * for ever; NULL when there is none at all.
 */
static const psl_ctx_t *
suffixes(void)
{
	static psl_ctx_t *list;

	if (list == NULL)
		list = psl_latest(NULL);
	return list;
}

/*
 * To A-labels; *ascii is for idn2_free().  Libidn2 also refuses "xn--" labels
 * that are not what their own Unicode form would become.
 */
static int
to_ascii(const char *input, const char *shown, char **ascii, struct err *e)
{
	int rc = idn2_to_ascii_8z(input, ascii, IDN_FLAGS);

	if (rc == IDN2_OK)
		return 0;
	return err_set(e, ERR_REFUSED,
	    "\"%s\" is not an internationalised domain name: %s", shown,
	    idn2_strerror(rc));
}

/* Lower case, without the one dot that may end a full name. */
static void
tidy(const char *input, char *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(input[i] >= 'A' && input[i] <= 'Z'
				    ? input[i] - 'A' + 'a'
				    : input[i]);
	if (len > 1 && out[len - 1] == '.' && out[len - 2] != '.')
		len--;
	out[len] = '\0';
}

static bool
needs_idna(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			return true;
	return strstr(name, "xn--") != NULL;
}

/* The IDNA form of a tidied name, in place; a "*." is none of IDNA's. */
static int
apply_idna(char *name, size_t size, const char *shown, struct err *e)
{
	size_t skip = domain_wildcard(name) ? 2 : 0, len;
	char *ascii = NULL;

	if (!needs_idna(name))
		return 0;
	if (to_ascii(name + skip, shown, &ascii, e) == -1)
		return -1;
	len = strlen(ascii);
	if (len < size - skip)
		tidy(ascii, name + skip, len);
	idn2_free(ascii);
	if (len >= size - skip)
		return err_set(e, ERR_REFUSED, "\"%s\" is too long", shown);
	return 0;
}

int
domain_normalise(
    const char *input, char out[static DOMAIN_NAME_MAX], struct err *e)
{
	char name[INPUT_MAX + 1], shown[SHOWN_MAX];
	size_t len = strlen(input);
	const psl_ctx_t *list = suffixes();

	out[0] = '\0';
	str_printable(shown, sizeof(shown), input, len);
	if (len == 0)
		return err_set(e, ERR_REFUSED, "the domain name is empty");
	if (len > INPUT_MAX)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" is %zu characters long; at most %d are allowed",
		    shown, len, DOMAIN_NAME_MAX - 1);
	tidy(input, name, len);
	if (apply_idna(name, sizeof(name), shown, e) == -1 ||
	    check_form(name, shown, e) == -1)
		return -1;
	/*
	 * Only suffixes that a registry runs: the owner of "github.io", which
	 * is on the list's private part, can get a certificate for it.
	 */
	if (list != NULL &&
	    psl_is_public_suffix2(list, domain_base(name), PSL_TYPE_ICANN) != 0)
		return err_set(e, ERR_REFUSED,
		    "\"%s\" is a public suffix: nobody can get a certificate "
		    "for it",
		    shown);
	return str_copy(out, DOMAIN_NAME_MAX, name, e);
}

/* --- what a name says ------------------------------------------------------- */

bool
domain_wildcard(const char *name)
{
	return name[0] == '*' && name[1] == '.';
}

const char *
domain_base(const char *name)
{
	return domain_wildcard(name) ? name + 2 : name;
}

bool
domain_covers(const char *pattern, const char *host)
{
	const char *dot;

	if (!domain_wildcard(pattern))
		return strcasecmp(pattern, host) == 0;
	dot = strchr(host, '.');
	return dot != NULL && dot != host && strcasecmp(pattern + 1, dot) == 0;
}

const char *
domain_registered(const char *name)
{
	const char *base = domain_base(name), *registered = NULL;
	const psl_ctx_t *list = suffixes();

	if (list != NULL)
		registered = psl_registrable_domain(list, base);
	return registered != NULL ? registered : base;
}

/* CRC-32 of IEEE 802.3, reflected, bit by bit: names are short. */
static uint32_t
crc32(const char *s)
{
	uint32_t crc = 0xffffffff;

	for (; *s != '\0'; s++) {
		crc ^= (uint8_t)*s;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
	}
	return ~crc;
}

int
domain_partition(const char *name, int partitions)
{
	return partitions > 1 ? (int)(crc32(name) % (uint32_t)partitions) : 0;
}

void
domain_file(const char *name, char out[static DOMAIN_FILE_MAX])
{
	snprintf(out, DOMAIN_FILE_MAX, "%s%s",
	    domain_wildcard(name) ? "_wildcard_." : "", domain_base(name));
}

void
domain_id(const char *name, char out[static DOMAIN_ID_MAX])
{
	uint8_t digest[EVP_MAX_MD_SIZE] = { 0 };
	char hex[DOMAIN_ID_MAX];

	if (EVP_Digest(name, strlen(name), digest, NULL, EVP_sha256(), NULL) !=
	    1)
		abort();
	str_hex(hex, digest, (DOMAIN_ID_MAX - 1) / 2);
	for (size_t i = 0; i < DOMAIN_ID_MAX; i++)
		out[i] = (char)tolower((unsigned char)hex[i]);
}

int
domain_app_check(const char *app, struct err *e)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-_.";
	char shown[SHOWN_MAX];
	size_t len = strlen(app);

	str_printable(shown, sizeof(shown), app, len);
	if (len == 0 || len >= DOMAIN_APP_MAX || !str_only(app, len, chars) ||
	    !isalnum((unsigned char)app[0]))
		return err_set(e, ERR_REFUSED,
		    "\"%s\" is not an app's name; it has 1 to %d letters, "
		    "digits, \"-\", \"_\" and \".\", and begins with a letter "
		    "or digit",
		    shown, DOMAIN_APP_MAX - 1);
	return 0;
}
