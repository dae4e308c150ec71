/* One flag that stops work soon: set by any thread, polled by the one that computes.
 * Level 0.  Thread: any. */
#ifndef SVR_BASE_CANCEL_H
#define SVR_BASE_CANCEL_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_cancel svr_cancel;

/* NULL when there is no memory; starts clear. */
svr_cancel *svr_cancel_create(void);
void svr_cancel_destroy(svr_cancel *cancel);

/* Raises (true) or clears (false) the flag. */
void svr_cancel_set(svr_cancel *cancel, bool raised);

/* NULL counts as clear. */
bool svr_cancel_raised(const svr_cancel *cancel);

#ifdef __cplusplus
}
#endif
#endif
