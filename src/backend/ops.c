#include "backend/ops.h"

#include "backend/ops_check.h"

static svr_status unsupported(const svr_exec *exec, const char *op, svr_error *err)
{
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                    "op %s is not available on backend %s; use another backend", op,
                    exec->backend->name);
}

static svr_status take_workspace(svr_exec *exec, const char *op, size_t bytes, void **out,
                                 svr_error *err)
{
    svr_status status;

    *out = NULL;
    if (bytes == 0)
        return SVR_OK;
    status = svr_scratch_alloc(exec->scratch, bytes, out, err);
    if (status != SVR_OK)
        svr_error_prefix(err, "workspace of %s: ", op);
    return status;
}

/* The same steps for every op; only types and members differ. */
#define SVR_OP_ENTRY_BODY(name)                                                                    \
    svr_status svr_op_##name(svr_exec *exec, const svr_##name##_args *args, svr_error *err)        \
    {                                                                                              \
        svr_backend *backend = exec->backend;                                                      \
        const svr_ops *ops = backend->ops;                                                         \
        size_t bytes = 0;                                                                          \
        void *workspace;                                                                           \
        svr_status status;                                                                         \
                                                                                                   \
        SVR_TRY(svr_check_##name(args, err));                                                      \
        SVR_TRY(svr_exec_poll(exec, err));                                                         \
        if (!ops->name)                                                                            \
            return unsupported(exec, #name, err);                                                  \
        if (ops->name##_workspace)                                                                 \
            bytes = ops->name##_workspace(backend, args);                                          \
        SVR_TRY(take_workspace(exec, #name, bytes, &workspace, err));                              \
        status = ops->name(exec, args, workspace, err);                                            \
        svr_scratch_free(exec->scratch, workspace);                                                \
        return status;                                                                             \
    }

SVR_OP_LIST(SVR_OP_ENTRY_BODY)
