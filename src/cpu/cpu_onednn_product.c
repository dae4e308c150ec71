#include "cpu/cpu_library.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <assert.h>

bool svr_cpu_library_has_product(void)
{
    return true;
}

void svr_cpu_library_product(const float *x, const float *w, float *out, const int64_t m_n_k[3])
{
    int64_t m = m_n_k[0], n = m_n_k[1], k = m_n_k[2];
    int threads = omp_get_max_threads();
    dnnl_status_t status;

    /* outside a parallel loop it would share the sum out, and round otherwise than inside one */
    omp_set_num_threads(1);
    status = dnnl_sgemm('N', 'T', m, n, k, 1.0f, x, k, w, k, 0.0f, out, n);
    omp_set_num_threads(threads);

    /* fails on arguments that contradict each other only */
    assert(status == dnnl_success);
    (void) status;
}
