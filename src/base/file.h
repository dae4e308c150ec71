/* A read-only file mapped into memory.  Level 0.
 * Thread: any once it is open (the contents never change through us). */
#ifndef SVR_BASE_FILE_H
#define SVR_BASE_FILE_H

#include "base/status.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_file {
    const unsigned char *data; /* NULL for an empty file */
    size_t size;
} svr_file;

/* Maps `path`.  Errors: IO (missing, unreadable, a directory), with the path and the reason.
 * The caller ends with svr_file_close(). */
SVR_CHECKED svr_status svr_file_open(const char *path, svr_file *out, svr_error *err);

/* Idempotent; accepts a zeroed struct. */
void svr_file_close(svr_file *file);

#ifdef __cplusplus
}
#endif
#endif
