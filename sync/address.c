#include "sync/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static bool
private_v4(uint32_t a)
{
	static const struct {
		uint32_t net;
		int bits;
	} nets[] = {
		{ 0x00000000, 8 },  /* this network */
		{ 0x0a000000, 8 },  /* private */
		{ 0x64400000, 10 }, /* shared, RFC 6598 */
		{ 0x7f000000, 8 },  /* loopback */
		{ 0xa9fe0000, 16 }, /* link-local; cloud metadata */
		{ 0xac100000, 12 }, /* private */
		{ 0xc0000000, 24 }, /* protocol assignments */
		{ 0xc0a80000, 16 }, /* private */
		{ 0xc6120000, 15 }, /* benchmarks */
		{ 0xe0000000, 3 },  /* multicast, reserved, broadcast */
	};

	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		if ((a ^ nets[i].net) >> (32 - nets[i].bits) == 0)
			return true;
	return false;
}

static bool
private_v6(const struct in6_addr *a)
{
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
	const uint8_t *p = a->s6_addr;
	uint32_t last;

	memcpy(&last, p + 12, sizeof(last));
	if (IN6_IS_ADDR_V4MAPPED(a) || memcmp(p, nat64, sizeof(nat64)) == 0)
		return private_v4(ntohl(last));
	/* Only 2000::/3 is global unicast (RFC 4291 section 2.5.4). */
	if ((p[0] & 0xe0) != 0x20)
		return true;
	memcpy(&last, p + 2, sizeof(last));
	return p[0] == 0x20 && p[1] == 0x02 && private_v4(ntohl(last));
}

bool
address_private(const struct sockaddr *sa)
{
	struct sockaddr_in sin;
	struct sockaddr_in6 sin6;

	if (sa->sa_family == AF_INET) {
		memcpy(&sin, sa, sizeof(sin));
		return private_v4(ntohl(sin.sin_addr.s_addr));
	}
	if (sa->sa_family == AF_INET6) {
		memcpy(&sin6, sa, sizeof(sin6));
		return private_v6(&sin6.sin6_addr);
	}
	return true;
}
