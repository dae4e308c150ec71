#include "cpu/cpu_internal.h"

svr_status svr_cpu_for(svr_exec *exec, int64_t count, svr_cpu_task task, void *context,
                       svr_error *err)
{
    svr_cpu_pool_run(svr_cpu_of(exec->backend)->pool, count, task, context, exec->cancel);
    return svr_exec_poll(exec, err);
}
