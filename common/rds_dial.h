/* Sockets on their way to Redis.  Private to common/rds*.c. */
#ifndef COMMON_RDS_DIAL_H
#define COMMON_RDS_DIAL_H

#include <sys/socket.h>

#include "common/err.h"
#include "common/rds_url.h"

struct addrinfo;

/*
 * The host's addresses, for freeaddrinfo(); NULL with ERR_AGAIN.  A name that is
 * neither an address nor in /etc/hosts may block, see there.
 */
struct addrinfo *rds_dial_look_up(const struct rds_url *, struct err *);

/*
 * A socket that never blocks, connected or about to be; -1 and errno when that
 * failed at once.
 */
int rds_dial(const struct sockaddr *, socklen_t);

#endif
