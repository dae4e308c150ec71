/* Running a piece of network or pixel code on a backend: scratch memory that fits the job, copies
 * of host arrays, and a store of tapped tensors.  Nothing dereferences backend memory.
 */
#ifndef SEEDVR2_VERIFY_DEVICE_H
#define SEEDVR2_VERIFY_DEVICE_H

#include "backend/exec.h"
#include "backend/ops.h"

#include <glib.h>

typedef struct device {
    svr_backend *backend; /* borrowed */
    svr_exec exec;
    void *block; /* scratch memory */
    size_t block_bytes;
} device;

void device_init(device *d, svr_backend *backend);
void device_finish(device *d);

/* Code that uses exec->scratch only, and can be run again from its start. */
typedef svr_status (*device_job)(void *user, svr_exec *exec, svr_error *err);

/* Runs `job` twice: on the counting backend (where results are zeros), to learn what it takes, then
 * for good.  `taps` (optional) is emptied and gets the tensors that the second run shows. */
struct device_taps;
SVR_CHECKED svr_status device_run(device *d, device_job job, void *user, struct device_taps *taps,
                                  svr_error *err);

/* A scratch tensor with the type and sizes of `shape` (whose `data` means nothing) and `values`
 * rounded to that type. */
SVR_CHECKED svr_status device_put(svr_exec *exec, const float *values, svr_tensor shape,
                                  svr_tensor *out, svr_error *err);

/* A scratch tensor of n I32. */
SVR_CHECKED svr_status device_put_ints(svr_exec *exec, const int32_t *values, int64_t n,
                                       svr_tensor *out, svr_error *err);

/* All elements of a tensor as floats, to memory of the caller or to new memory (g_free). */
SVR_CHECKED svr_status device_get(svr_backend *backend, const svr_tensor *tensor, float *values,
                                  svr_error *err);
SVR_CHECKED svr_status device_get_new(svr_backend *backend, const svr_tensor *tensor,
                                      float **values, svr_error *err);

/* The first value that each tap name showed. */
typedef struct device_tap {
    svr_tensor shape; /* type and sizes; `data` means nothing */
    float *values;
} device_tap;

typedef struct device_taps {
    svr_backend *backend;
    GHashTable *seen; /* name -> device_tap */
} device_taps;

void device_taps_init(device_taps *taps);
void device_taps_finish(device_taps *taps);
void device_taps_clear(device_taps *taps);

/* Keeps a copy of `value` unless the name is there already. */
SVR_CHECKED svr_status device_taps_add(device_taps *taps, const char *name, const svr_tensor *value,
                                       svr_error *err);

/* NULL when nothing of this name was shown. */
const device_tap *device_taps_find(const device_taps *taps, const char *name);

#endif
