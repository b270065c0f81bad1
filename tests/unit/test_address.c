#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cmocka.h>

#include "sync/address.h"

static bool
is_private(const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &sin.sin_addr) == 1)
		return address_private((struct sockaddr *)&sin);
	assert_int_equal(inet_pton(AF_INET6, text, &sin6.sin6_addr), 1);
	return address_private((struct sockaddr *)&sin6);
}

static void
what_is_not_on_the_internet_is_private(void **state)
{
	static const char *const addresses[] = { "0.0.0.0", "10.0.0.1",
		"10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1",
		"127.255.255.255", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.168.0.1", "192.0.0.8", "198.18.0.1",
		"198.19.255.255", "224.0.0.1", "255.255.255.255", "::", "::1",
		"fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1",
		"::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::10.0.0.1",
		"2002:7f00:1::1", "2002:c0a8:101::1" };

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (!is_private(addresses[i]))
			fail_msg("%s should be private", addresses[i]);
}

static void
what_is_on_the_internet_is_not(void **state)
{
	static const char *const addresses[] = { "1.1.1.1", "9.255.255.255",
		"11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1",
		"128.0.0.1", "169.253.0.1", "172.15.255.255", "172.32.0.0",
		"192.0.1.1", "192.167.0.1", "192.169.0.1", "198.17.0.1",
		"198.20.0.1", "223.255.255.255", "2606:4700::1111",
		"::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1" };

	(void)state;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		if (is_private(addresses[i]))
			fail_msg("%s should not be private", addresses[i]);
}

static void
other_families_are_private(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	(void)state;
	assert_true(address_private((struct sockaddr *)&sun));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_on_the_internet_is_private),
		cmocka_unit_test(what_is_on_the_internet_is_not),
		cmocka_unit_test(other_families_are_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
