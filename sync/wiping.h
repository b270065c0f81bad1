/* What libraries free is wiped: secrets go through their hands, too. */
#ifndef SYNC_WIPING_H
#define SYNC_WIPING_H

/* Before anything else: who has allocated already goes on as before. */
void wiping_begin(void);

#endif
