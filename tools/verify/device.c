#include "verify/device.h"

#include "base/checked.h"

enum { FIRST_BLOCK_BYTES = 64 << 20 };

void device_init(device *d, svr_backend *backend)
{
    *d = (device){.backend = backend, .exec = {.backend = backend}};
}

static void free_block(device *d)
{
    svr_scratch_destroy(d->exec.scratch);
    svr_backend_free(d->backend, SVR_MEM_SCRATCH, d->block_bytes, d->block);
    d->exec.scratch = NULL;
    d->block = NULL;
    d->block_bytes = 0;
}

void device_finish(device *d)
{
    free_block(d);
    *d = (device){0};
}

static svr_status take_block(device *d, size_t bytes, svr_error *err)
{
    free_block(d);
    SVR_TRY(svr_backend_alloc(d->backend, SVR_MEM_SCRATCH, bytes, &d->block, err));
    d->block_bytes = bytes;
    d->exec.scratch = svr_scratch_create(d->block, bytes);
    if (!d->exec.scratch)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the scratch allocator");
    return SVR_OK;
}

static void tap_free(void *data)
{
    device_tap *tap = (device_tap *) data;

    g_free(tap->values);
    g_free(tap);
}

void device_taps_init(device_taps *taps)
{
    *taps = (device_taps){.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, tap_free)};
}

void device_taps_finish(device_taps *taps)
{
    g_hash_table_destroy(taps->seen);
    *taps = (device_taps){0};
}

void device_taps_clear(device_taps *taps)
{
    g_hash_table_remove_all(taps->seen);
}

const device_tap *device_taps_find(const device_taps *taps, const char *name)
{
    return (const device_tap *) g_hash_table_lookup(taps->seen, name);
}

svr_status device_taps_add(device_taps *taps, const char *name, const svr_tensor *value,
                           svr_error *err)
{
    float *values = NULL;
    device_tap *tap;

    if (g_hash_table_contains(taps->seen, name))
        return SVR_OK;
    SVR_TRY(device_get_new(taps->backend, value, &values, err));
    tap = g_new0(device_tap, 1);
    tap->shape = *value;
    tap->shape.data = NULL;
    tap->values = values;
    g_hash_table_insert(taps->seen, g_strdup(name), tap);
    return SVR_OK;
}

static svr_status remember(void *user, const char *name, const svr_tensor *value, svr_error *err)
{
    return device_taps_add((device_taps *) user, name, value, err);
}

static svr_status count_on(svr_backend *counting, device_job job, void *user, size_t *bytes,
                           svr_error *err)
{
    svr_exec exec = {.backend = counting, .scratch = svr_scratch_create_counting()};
    svr_status status;

    if (!exec.scratch)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the scratch allocator");
    status = job(user, &exec, err);
    *bytes = svr_align_up(svr_scratch_peak(exec.scratch), SVR_SCRATCH_ALIGN);
    svr_scratch_destroy(exec.scratch);
    return status;
}

/* What `job` will take, by running it on the planner's device. */
static svr_status count_scratch(device *d, device_job job, void *user, size_t *bytes,
                                svr_error *err)
{
    svr_backend *counting = svr_counting_backend_create(d->backend);
    svr_status status;

    if (!counting)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to plan a case");
    status = count_on(counting, job, user, bytes, err);
    svr_backend_destroy(counting);
    return status;
}

svr_status device_run(device *d, device_job job, void *user, device_taps *taps, svr_error *err)
{
    size_t bytes;

    SVR_TRY(count_scratch(d, job, user, &bytes, err));
    if (!d->block || bytes > d->block_bytes)
        SVR_TRY(take_block(d, bytes > FIRST_BLOCK_BYTES ? bytes : FIRST_BLOCK_BYTES, err));
    svr_scratch_reset(d->exec.scratch);
    d->exec.tap = taps ? remember : NULL;
    d->exec.tap_user = taps;
    if (taps) {
        device_taps_clear(taps);
        taps->backend = d->backend;
    }
    return job(user, &d->exec, err);
}

svr_status device_put(svr_exec *exec, const float *values, svr_tensor shape, svr_tensor *out,
                      svr_error *err)
{
    g_autofree void *rounded = NULL;

    SVR_TRY(svr_exec_alloc(exec, shape.dtype, shape.rank, shape.dims, out, err));
    rounded = g_malloc(svr_tensor_bytes(out));
    svr_from_f32(values, shape.dtype, rounded, (size_t) svr_tensor_elems(out));
    return svr_backend_upload(exec->backend, out->data, rounded, svr_tensor_bytes(out), err);
}

svr_status device_put_ints(svr_exec *exec, const int32_t *values, int64_t n, svr_tensor *out,
                           svr_error *err)
{
    SVR_TRY(svr_exec_alloc(exec, SVR_I32, 1, &n, out, err));
    return svr_backend_upload(exec->backend, out->data, values, svr_tensor_bytes(out), err);
}

svr_status device_get(svr_backend *backend, const svr_tensor *tensor, float *values, svr_error *err)
{
    g_autofree void *raw = g_malloc(svr_tensor_bytes(tensor));

    SVR_TRY(svr_backend_download(backend, raw, tensor->data, svr_tensor_bytes(tensor), err));
    svr_to_f32(raw, tensor->dtype, values, (size_t) svr_tensor_elems(tensor));
    return SVR_OK;
}

svr_status device_get_new(svr_backend *backend, const svr_tensor *tensor, float **values,
                          svr_error *err)
{
    float *copy = g_new(float, (size_t) svr_tensor_elems(tensor));
    svr_status status = device_get(backend, tensor, copy, err);

    if (status == SVR_OK)
        *values = copy;
    else
        g_free(copy);
    return status;
}
