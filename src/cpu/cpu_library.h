/* Convolutions and matrix products by oneDNN, where it was found at build time (cpu_onednn_*.c);
 * without it cpu_library_none.c says that nothing is served, and the loops of this folder do
 * everything.
 *
 * oneDNN computes a piece at a time on the thread that asks; the pieces are shared out by
 * svr_cpu_for(), so results do not depend on the number of threads and cancelling stays quick.
 * Level 2. */
#ifndef SVR_CPU_CPU_LIBRARY_H
#define SVR_CPU_CPU_LIBRARY_H

#include "backend/ops.h"

#include <stdbool.h>

/* Whether svr_cpu_library_product() is there. */
bool svr_cpu_library_has_product(void);

/* out [M,N] = x w^T, x [M,K], w [N,K], all dense F32.  Thread: any. */
void svr_cpu_library_product(const float *x, const float *w, float *out, const int64_t m_n_k[3]);

/* Whether the library takes this convolution: F32, wide enough to gain. */
bool svr_cpu_library_serves_conv3d(const svr_conv3d_args *args);

/* As the members of svr_ops, for arguments that are served. */
size_t svr_cpu_library_conv3d_workspace(svr_backend *backend, const svr_conv3d_args *args);
SVR_CHECKED svr_status svr_cpu_library_conv3d(svr_exec *exec, const svr_conv3d_args *args,
                                              void *workspace, svr_error *err);

#endif
