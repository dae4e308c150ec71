/* What network code needs to run: a device, scratch memory, a flag to stop, and a tap for tests.
 *
 * Rule for scratch memory: free what is no longer needed on the way; on failure just return, the
 * owner of the exec resets the scratch.  Level 1.  Thread: the one that computes. */
#ifndef SVR_BACKEND_EXEC_H
#define SVR_BACKEND_EXEC_H

#include "backend/backend.h"
#include "backend/scratch.h"
#include "base/cancel.h"
#include "base/point.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_exec {
    svr_backend *backend;
    svr_scratch *scratch;
    svr_scratch *host;        /* ranges of page-locked host memory; NULL where nothing is parked */
    const svr_cancel *cancel; /* may be NULL */
    /* optional: sees named intermediate tensors; a failure is passed on */
    svr_status (*tap)(void *user, const char *name, const svr_tensor *value, svr_error *err);
    void *tap_user;
    /* optional: is told where the work is, for reports of memory; costs nothing on the device */
    void (*note)(void *user, svr_point point);
    void *note_user;
    /* dry runs: every op is issued, for who counts ops.  Else one block, or tile, may stand for
     * others that take the same memory */
    bool every_op;
} svr_exec;

/* Whether what is like something that was issued may be left out. */
static inline bool svr_exec_counts_once(const svr_exec *exec)
{
    return exec->backend->dry && !exec->tap && !exec->every_op;
}

/* Uninitialised tensor in scratch memory, `rank` sizes at `dims`. */
SVR_CHECKED svr_status svr_exec_alloc(svr_exec *exec, svr_dtype dtype, int rank,
                                      const int64_t *dims, svr_tensor *out, svr_error *err);

/* Shorthand: svr_exec_alloc(exec, dtype, SVR_DIMS(t, h, w, c), &x, err) */
#define SVR_DIMS(...)                                                                              \
    (int) (sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])            \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* Gives the tensor's memory back and clears the view.  Accepts an empty view. */
void svr_exec_free(svr_exec *exec, svr_tensor *tensor);

/* The same in page-locked host memory, for copies by svr_backend_copy_in() and _copy_out(); not for
 * ops.  Errors: NO_MEM also where the exec has no host memory. */
SVR_CHECKED svr_status svr_exec_host_alloc(svr_exec *exec, svr_dtype dtype, int rank,
                                           const int64_t *dims, svr_tensor *out, svr_error *err);
void svr_exec_host_free(svr_exec *exec, svr_tensor *tensor);

/* CANCELLED once the flag is raised, else OK. */
SVR_CHECKED svr_status svr_exec_poll(svr_exec *exec, svr_error *err);

/* Tells where the work is, if anybody wants to know. */
void svr_exec_note(const svr_exec *exec, svr_point point);

/* Shows `value` to the tap, if there is one. */
SVR_CHECKED svr_status svr_exec_tap(svr_exec *exec, const char *name, const svr_tensor *value,
                                    svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
