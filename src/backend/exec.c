#include "backend/exec.h"

#include "base/checked.h"

#include <assert.h>
#include <string.h>

static svr_status alloc_from(svr_scratch *scratch, svr_dtype dtype, int rank, const int64_t *dims,
                             svr_tensor *out, svr_error *err)
{
    svr_tensor t = {.dtype = dtype, .rank = rank};
    size_t bytes = svr_dtype_size(dtype);
    char text[128];

    assert(rank >= 0 && rank <= SVR_MAX_RANK);
    if (rank > 0)
        memcpy(t.dims, dims, (size_t) rank * sizeof dims[0]);
    for (int i = 0; i < rank; i++)
        if (t.dims[i] < 0 || !svr_mul_size(bytes, (size_t) t.dims[i], &bytes))
            return SVR_FAIL(err, SVR_ERR_SHAPE, "no memory block can hold a tensor %s",
                            svr_tensor_describe(&t, text, sizeof text));
    SVR_TRY(svr_scratch_alloc(scratch, bytes, &t.data, err));
    *out = t;
    return SVR_OK;
}

svr_status svr_exec_alloc(svr_exec *exec, svr_dtype dtype, int rank, const int64_t *dims,
                          svr_tensor *out, svr_error *err)
{
    return alloc_from(exec->scratch, dtype, rank, dims, out, err);
}

void svr_exec_free(svr_exec *exec, svr_tensor *tensor)
{
    svr_scratch_free(exec->scratch, tensor->data);
    memset(tensor, 0, sizeof *tensor);
}

svr_status svr_exec_host_alloc(svr_exec *exec, svr_dtype dtype, int rank, const int64_t *dims,
                               svr_tensor *out, svr_error *err)
{
    if (!exec->host)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no page-locked host memory was planned");
    return alloc_from(exec->host, dtype, rank, dims, out, err);
}

void svr_exec_host_free(svr_exec *exec, svr_tensor *tensor)
{
    if (svr_tensor_present(tensor))
        svr_scratch_free(exec->host, tensor->data);
    memset(tensor, 0, sizeof *tensor);
}

svr_status svr_exec_poll(svr_exec *exec, svr_error *err)
{
    if (svr_cancel_raised(exec->cancel))
        return SVR_FAIL(err, SVR_ERR_CANCELLED, "stopped on request");
    return SVR_OK;
}

void svr_exec_note(const svr_exec *exec, svr_point point)
{
    if (exec->note)
        exec->note(exec->note_user, point);
}

svr_status svr_exec_tap(svr_exec *exec, const char *name, const svr_tensor *value, svr_error *err)
{
    return exec->tap ? exec->tap(exec->tap_user, name, value, err) : SVR_OK;
}
