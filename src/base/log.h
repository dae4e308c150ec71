/* Log sink handed to the engine by whoever creates it; there is no global logger.
 * Level 0.  Thread: any; the callback must be thread-safe. */
#ifndef SVR_BASE_LOG_H
#define SVR_BASE_LOG_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum svr_log_level {
    SVR_LOG_ERROR = 1, /* once, with the status */
    SVR_LOG_WARN,      /* a degraded plan or suspicious input */
    SVR_LOG_INFO,      /* model, plan, summary of a run */
    SVR_LOG_DEBUG,     /* per batch */
    SVR_LOG_TRACE      /* per op */
} svr_log_level;

/* A sink.  `fn` NULL: silent. */
typedef struct svr_log {
    void (*fn)(void *user, svr_log_level level, const char *module, const char *text);
    void *user;
    svr_log_level level; /* the most detailed level that is wanted */
} svr_log;

/* Formats and passes on a line (no newline at the end).  `log` may be NULL.  `module` is a short
 * static name such as "vae". */
void svr_log_write(const svr_log *log, svr_log_level level, const char *module, const char *fmt,
                   ...) SVR_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif
#endif
