/* What a Sentinel publishes when the master is another.  Pure. */
#ifndef COMMON_RDS_SWITCH_H
#define COMMON_RDS_SWITCH_H

struct rds_switch {
	char name[256];
	char host[254], port[6]; /* of the new one */
};

/* "name old-host old-port host port"; -1 when it is something else. */
int rds_switch_parse(struct rds_switch *, const char *text);

#endif
