#include "cpu/cpu_internal.h"

#include <omp.h>

svr_status svr_cpu_for(svr_exec *exec, int64_t count, svr_cpu_task task, void *context,
                       svr_error *err)
{
    int threads = svr_cpu_of(exec->backend)->threads;

    if (threads > count)
        threads = count > 0 ? (int) count : 1;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < count; i++) {
        if (!svr_cancel_raised(exec->cancel))
            task(context, i, omp_get_thread_num());
    }
    return svr_exec_poll(exec, err);
}
