/* Which addresses are not on the public Internet. */
#ifndef SYNC_ADDRESS_H
#define SYNC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * Private, loopback, link-local, shared, reserved and multicast addresses, also
 * inside IPv6 forms that carry an IPv4 address; other families always are.
 */
bool address_private(const struct sockaddr *);

#endif
