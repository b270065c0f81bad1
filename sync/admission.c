#include "sync/admission.h"

#define UNKNOWN_US 10000 /* between two ends, until some were seen */
#define WEIGHT 16        /* the average is of about so many */
#define LEAST_MS 100

void
admission_ended(struct admission *a, bool others_wait, int64_t now_ms)
{
	int64_t gap_us = (now_ms - a->ended_ms) * 1000;
	bool measured = a->ended_ms != 0 && gap_us >= 0;

	/* Between two ends with nobody waiting there is no hurry to measure. */
	a->ended_ms = others_wait ? now_ms : 0;
	if (!measured)
		return;
	if (a->seen == 0)
		a->gap_us = UNKNOWN_US;
	if (a->seen < WEIGHT - 1)
		a->seen++;
	a->gap_us += (gap_us - a->gap_us) / (a->seen + 1);
}

int64_t
admission_again(
    struct admission *a, enum lane lane, int waiting, int64_t now_ms)
{
	int64_t gap_us = a->seen > 0 ? a->gap_us : UNKNOWN_US;
	int64_t now_us = now_ms * 1000, *tail = &a->tail_us[lane];
	/* With the lane half empty there is room for a good many. */
	int64_t room_us = now_us + gap_us * waiting / 2;
	int64_t again;

	*tail += gap_us;
	if (*tail < room_us)
		*tail = room_us;
	if (*tail > now_us + ADMISSION_MOST_MS * INT64_C(1000))
		*tail = now_us + ADMISSION_MOST_MS * INT64_C(1000);
	again = (*tail - now_us) / 1000;
	return again > LEAST_MS ? again : LEAST_MS;
}
