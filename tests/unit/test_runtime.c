/* What HAProxy 2.6, 3.0 and 3.2 really said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "haproxy/answer.h"

#define N "/run/a.pem"

struct text {
	const char *text;
	enum answer_kind kind;
	const char *name;
};

/* What has been done. */
static const struct text done[] = {
	{ "", ANSWER_EMPTY, "" },
	{ "New empty certificate store '" N "'!", ANSWER_NEW, N },
	{ "Certificate '" N "' already exists!", ANSWER_EXISTS, N },
	{ "Transaction created for certificate " N "!", ANSWER_CREATED, N },
	{ "Transaction updated for certificate " N "!", ANSWER_UPDATED, N },
	{ "Committing " N "\nSuccess!", ANSWER_COMMITTED, N },
	{ "Committing " N "...\nSuccess!", ANSWER_COMMITTED, N },
	{ "Committing " N ".", ANSWER_UNKNOWN, "" },
	{ "Committing " N "\nsomething\nFailed!", ANSWER_UNKNOWN, "" },
	{ "Inserting certificate '" N "' in crt-list '/run/l'.\n"
	  "Success!",
	    ANSWER_INSERTED, N },
	{ "Entry '" N "' deleted in crtlist '/run/l'!", ANSWER_ENTRY_DELETED,
	    N },
	{ "Certificate '" N "' deleted!", ANSWER_DELETED, N },
	{ "Transaction aborted for certificate '" N "'!", ANSWER_ABORTED, N },
};

/* What has not, and why. */
static const struct text refused[] = {
	{ "No ongoing transaction!", ANSWER_NO_TRANSACTION, "" },
	{ "No ongoing transaction! !\nCan't commit " N "!",
	    ANSWER_NO_TRANSACTION, "" },
	{ "The ongoing transaction is about '/b.pem' but you are "
	  "trying to set '" N "'\nCan't commit " N "!",
	    ANSWER_TRANSACTION_OTHER, "/b.pem" },
	{ "The ongoing transaction is about '/b.pem' but you are "
	  "trying to abort a transaction for '" N "'",
	    ANSWER_TRANSACTION_OTHER, "/b.pem" },
	{ "Can't remove the certificate: ongoing transaction for the "
	  "certificate '" N "'",
	    ANSWER_TRANSACTION_OTHER, N },
	{ "Operations on certificates are currently locked!", ANSWER_LOCKED,
	    "" },
	{ "Operations on certificates are currently locked!\n"
	  "Can't update " N "!",
	    ANSWER_LOCKED, "" },
	{ "Can't replace a certificate which is not referenced by the "
	  "configuration!\nCan't update " N "!",
	    ANSWER_MISSING, "" },
	{ "Can't edit the crt-list: certificate '" N "' does not exist!",
	    ANSWER_MISSING, N },
	{ "Can't edit the crt-list: certificate '" N "' is empty!",
	    ANSWER_UNKNOWN, "" },
	{ "Can't edit the crt-list: crt-list '/l' does not exist!",
	    ANSWER_NO_LIST, "/l" },
	{ "didn't find the specified filename", ANSWER_NO_LIST, "" },
	{ "Can't delete the entry: certificate '" N
	  "' can't be found in crt-list '/l'!",
	    ANSWER_MISSING, N },
	{ "Can't delete the entry: found the certificate '" N
	  "' in several entries, please specify a line number "
	  "preceded by colons (1, 2)!",
	    ANSWER_SEVERAL, N },
	{ "Can't remove the certificate: certificate '" N
	  "' in use, can't be deleted!",
	    ANSWER_IN_USE, N },
	{ "Can't display the certificate: Not found or the "
	  "certificate is a bundle!",
	    ANSWER_MISSING, "" },
	{ "inconsistencies between private key and certificate loaded "
	  "'" N "'.\nCan't commit " N "!",
	    ANSWER_BAD_PEM, "" },
	{ "unable to load certificate from file '" N "'.\n"
	  "Can't load the payload\nCan't update " N "!",
	    ANSWER_BAD_PEM, "" },
	{ "The transaction must contain at least a certificate and a "
	  "private key!\nCan't commit " N "!",
	    ANSWER_BAD_PEM, "" },
	{ "Permission denied", ANSWER_DENIED, "" },
	{ "The command is too big for the buffer size. Please change "
	  "tune.bufsize",
	    ANSWER_TOO_BIG, "" },
	{ "Unknown command", ANSWER_UNKNOWN, "" },
	{ "Transaction created for certificate " N "!\nmore", ANSWER_UNKNOWN,
	    "" },
	{ "Transaction created for certificate !", ANSWER_UNKNOWN, "" },
};

static void
mean_what_haproxy_means(const struct text *t, size_t n)
{
	struct answer a;

	for (size_t i = 0; i < n; i++) {
		answer_parse(t[i].text, &a);
		if (a.kind != t[i].kind)
			fail_msg("\"%s\" is %d", t[i].text, (int)a.kind);
		assert_string_equal(a.name, t[i].name);
	}
}

static void
what_was_done_is_known_by_its_text(void **state)
{
	(void)state;
	mean_what_haproxy_means(done, sizeof(done) / sizeof(done[0]));
}

static void
what_was_refused_is_known_by_its_text(void **state)
{
	(void)state;
	mean_what_haproxy_means(refused, sizeof(refused) / sizeof(refused[0]));
}

/* 2.6 and 3.0 print "+ " for each line of a payload, 3.2 does not. */
#define STREAM                                                          \
	"\n> Name: HAProxy\nPid: 7\n\n> + + + Transaction created for " \
	"certificate /a!\n\n> \n> Committing /a\nSuccess!\n\n> "

static void
answers_are_cut_out_of_a_stream_at_any_seam(void **state)
{
	static const char *const want[] = { "", "Name: HAProxy\nPid: 7",
		"Transaction created for certificate /a!", "",
		"Committing /a\nSuccess!" };
	const char *text, *all = STREAM;
	size_t step, fed, at, scanned, len, used, n;

	(void)state;
	for (step = 1; step <= strlen(all); step++) {
		n = at = scanned = 0;
		for (fed = step; at < strlen(all); fed += step) {
			if (fed > strlen(all))
				fed = strlen(all);
			while (answer_split(
			    all + at, fed - at, &scanned, &text, &len, &used)) {
				assert_true(n < 5);
				assert_int_equal(len, strlen(want[n]));
				assert_memory_equal(text, want[n], len);
				at += used;
				n++;
			}
			if (fed == strlen(all))
				break;
		}
		assert_int_equal(n, 5);
		assert_string_equal(all + at, "> ");
	}
}

static void
the_process_is_known_by_pid_and_start(void **state)
{
	struct answer_info i;

	(void)state;
	assert_int_equal(
	    answer_info("Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 7922\n"
			"Uptime: 0d 0h00m01s\nUptime_sec: 61\n"
			"Stopping: 1\nStart_time_sec: 1795499521\nTainted: 0",
		&i),
	    0);
	assert_int_equal(i.pid, 7922);
	assert_int_equal(i.started_at, 1795499521);
	assert_int_equal(i.uptime_s, 61);
	assert_true(i.stopping);
	assert_string_equal(i.version, "2.6.12-1+deb12u4");
	assert_int_equal(answer_info("", &i), -1);
	assert_int_equal(answer_info("Pid: x\nUptime_sec: 1", &i), -1);
	assert_int_equal(answer_info("Unknown command", &i), -1);
}

static char seen[512];

static void
see_name(void *arg, const char *name, bool open)
{
	size_t at = strlen(seen);

	(void)arg;
	snprintf(
	    seen + at, sizeof(seen) - at, "%s%s ", open ? "open:" : "", name);
}

static void
see_entry(void *arg, const char *name, int line, const char *filters)
{
	size_t at = strlen(seen);

	(void)arg;
	snprintf(
	    seen + at, sizeof(seen) - at, "%s|%d|%s ", name, line, filters);
}

static void
lists_of_certificates_and_entries_are_read(void **state)
{
	(void)state;
	seen[0] = '\0';
	assert_int_equal(answer_names("# transaction\n*/x/b\n# filename\n"
				      "/x/default.pem\n/x/b",
			     see_name, NULL),
	    0);
	assert_string_equal(seen, "open:/x/b /x/default.pem /x/b ");
	seen[0] = '\0';
	assert_int_equal(
	    answer_entries("# /x/list\n/x/a.pem:1 a.example\n/x/b.pem:3\n"
			   "/x/c.pem:5 [alpn h2] *.c.example !no.c.example\n"
			   "nonsense\n/x/d.pem:x y",
		see_entry, NULL),
	    0);
	assert_string_equal(seen, "/x/a.pem|1|a.example /x/b.pem|3| "
				  "/x/c.pem|5|*.c.example !no.c.example ");
	assert_int_equal(answer_names("Permission denied", see_name, NULL), -1);
	assert_int_equal(answer_entries("", see_entry, NULL), -1);
}

static void
the_fingerprint_is_that_of_the_name_asked_for(void **state)
{
	static const char text[] =
	    "Filename: /x/a.pem\nStatus: Used\nSerial: 6F6E\n"
	    "Subject Alternative Name: \nAlgorithm: EC256\n"
	    "SHA1 FingerPrint: FED2E85658CBFC405930B9D903E7C85D54C8C430\n"
	    "Subject: /CN=a.example\nOCSP Response Key: ";
	char sha1[ANSWER_SHA1_MAX];

	(void)state;
	assert_int_equal(answer_sha1(text, "/x/a.pem", sha1), 0);
	assert_string_equal(sha1, "FED2E85658CBFC405930B9D903E7C85D54C8C430");
	assert_int_equal(answer_sha1(text, "/x/a", sha1), -1);
	assert_string_equal(sha1, "");
	assert_int_equal(answer_sha1("Filename: /x/b\nStatus: Empty\n"
				     "OCSP Response Key: ",
			     "/x/b", sha1),
	    0);
	assert_string_equal(sha1, "");
	assert_int_equal(
	    answer_sha1("Filename: /x/b\nSHA1 FingerPrint: FED2", "/x/b", sha1),
	    -1);
}

static void
the_end_of_what_it_has_is_read(void **state)
{
	static const struct {
		const char *text;
		uint32_t ends;
	} t[] = {
		{ "Filename: /x\nnotAfter: Feb  1 23:53:04 2027 GMT\nS: 1",
		    1801525984 },
		{ "notAfter: Dec 31 00:00:00 2026 GMT", 1798675200 },
		{ "notAfter: Dec 31 00:00:00 9999 GMT", UINT32_MAX },
		{ "notAfter: Jan  1 00:00:00 1960 GMT", 0 },
		{ "notAfter: Feb  1 23:53:04 2027", 0 },
		{ "notAfter: Feb  1 23:53:04 2027 GMT+1", 0 },
		{ "notAfter: anF  1 23:53:04 2027 GMT", 0 },
		{ "notAfter: F  1 23:53:04 2027 GMT", 0 },
		{ "notAfter: ", 0 },
		{ "Filename: /x", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
		assert_int_equal(answer_ends(t[i].text), t[i].ends);
}

static void
see_rate(void *arg, const char *sha1, int64_t per_hour)
{
	size_t at = strlen(seen);

	(void)arg;
	snprintf(seen + at, sizeof(seen) - at, "%.4s=%lld ", sha1,
	    (long long)per_hour);
}

#define TAIL "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void
a_stick_table_is_read_whatever_else_is_in_it(void **state)
{
	/* clang-format off */
	static const char text[] =
	    "# table: certfleet_hot, type: string, size:10240, used:9\n"
	    "0x5d0: key=B01" TAIL " use=0 exp=9 shard=0 http_req_rate(3600000)=12\n"
	    "0x5d1: key=B02" TAIL " use=0 exp=9 http_req_rate(600000)=2 gpc0=7\n"
	    "0x5d2: key=B03" TAIL " use=0 exp=9 conn_cnt=4\n"
	    "0x5d3: key=www.shop.example use=0 exp=1 http_req_rate(3600000)=5\n"
	    "0x5d4: key=b04" TAIL " use=0 exp=1 http_req_rate(3600000)=5\n"
	    "0x5d5: key=B05" TAIL "A use=0 exp=1 http_req_rate(3600000)=5\n"
	    "0x5d6: key=B06" TAIL " use=0 exp=1 http_req_rate(0)=5\n"
	    "0x5d7: key=B07" TAIL " use=0 exp=1 http_req_rate(3600000)=\n"
	    "0x5d8: key=B08" TAIL " http_req_rate(3600000)=4294967295";
	/* clang-format on */

	(void)state;
	seen[0] = '\0';
	assert_int_equal(answer_table(text, see_rate, NULL), 0);
	assert_string_equal(seen, "B01A=12 B02A=12 B08A=4294967295 ");
	seen[0] = '\0';
	assert_int_equal(
	    answer_table(
		"# table: x, type: string, size:1, used:0\n", see_rate, NULL),
	    0);
	assert_int_equal(answer_table("No such table", see_rate, NULL), -1);
	assert_int_equal(answer_table("", see_rate, NULL), -1);
	assert_string_equal(seen, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_done_is_known_by_its_text),
		cmocka_unit_test(what_was_refused_is_known_by_its_text),
		cmocka_unit_test(answers_are_cut_out_of_a_stream_at_any_seam),
		cmocka_unit_test(the_process_is_known_by_pid_and_start),
		cmocka_unit_test(lists_of_certificates_and_entries_are_read),
		cmocka_unit_test(the_fingerprint_is_that_of_the_name_asked_for),
		cmocka_unit_test(the_end_of_what_it_has_is_read),
		cmocka_unit_test(a_stick_table_is_read_whatever_else_is_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
