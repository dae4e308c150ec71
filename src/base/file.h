/* A read-only file, to be read in pieces; also mapped into memory.  Level 0.
 * Thread: any once it is open (the contents never change through us).
 *
 * Somebody else may shorten the file, and a disk or server may fail: svr_file_read() says so, while
 * a look at the mapping ends the process with SIGBUS.  The mapping is for tests and goldens. */
#ifndef SVR_BASE_FILE_H
#define SVR_BASE_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_file {
    const unsigned char *data; /* the mapping; NULL for an empty file */
    size_t size;               /* when it was opened */
    int fd;                    /* open while size > 0 */
} svr_file;

/* Opens and maps `path`.  Errors: IO (missing, unreadable, a directory), with the path and the
 * reason. The caller ends with svr_file_close(). */
SVR_CHECKED svr_status svr_file_open(const char *path, svr_file *out, svr_error *err);

/* Bytes [offset, offset + bytes), which lie inside `size`, to `dst`.
 * Errors: IO (the file is shorter by now, it cannot be read), without the path. */
SVR_CHECKED svr_status svr_file_read(const svr_file *file, uint64_t offset, void *dst, size_t bytes,
                                     svr_error *err);

/* Idempotent; accepts a zeroed struct. */
void svr_file_close(svr_file *file);

#ifdef __cplusplus
}
#endif
#endif
