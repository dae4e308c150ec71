/* The network ops of the CPU backend.  What each computes, shapes and aliasing: backend/ops.h; the
 * checked entries there have looked at the arguments already.
 *
 * All arithmetic is F32 and splits the work by rows or frames, so results do not depend on the
 * number of threads.  A _workspace function gives the bytes that its op uses; it reads shapes only,
 * never an address.  Level 2.  Thread: the one that computes; ops use all threads of the backend.
 */
#ifndef SVR_CPU_CPU_OPS_H
#define SVR_CPU_CPU_OPS_H

#include "backend/ops.h"

#define SVR_CPU_OP(name)                                                                           \
    svr_status svr_cpu_##name(svr_exec *exec, const svr_##name##_args *args, void *workspace,      \
                              svr_error *err)
#define SVR_CPU_OP_WORKSPACE(name)                                                                 \
    size_t svr_cpu_##name##_workspace(svr_backend *backend, const svr_##name##_args *args)

/* video VAE */
SVR_CPU_OP(conv3d);
SVR_CPU_OP_WORKSPACE(conv3d);
SVR_CPU_OP(tap_sum);
SVR_CPU_OP(upsample_conv3d);
SVR_CPU_OP_WORKSPACE(upsample_conv3d);
SVR_CPU_OP(group_norm);
SVR_CPU_OP_WORKSPACE(group_norm);
SVR_CPU_OP(group_moments);
SVR_CPU_OP_WORKSPACE(group_moments);
SVR_CPU_OP(depth_to_space);
SVR_CPU_OP(frame_attention);
SVR_CPU_OP_WORKSPACE(frame_attention);

/* general */
SVR_CPU_OP(copy);
SVR_CPU_OP(copy_rows);
SVR_CPU_OP(copy_window);
SVR_CPU_OP(lincomb);
SVR_CPU_OP(find_overflow);
SVR_CPU_OP(quantize);
SVR_CPU_OP_WORKSPACE(quantize);
SVR_CPU_OP(quantize_runs);
SVR_CPU_OP_WORKSPACE(quantize_runs);
SVR_CPU_OP(dequantize_runs);
SVR_CPU_OP_WORKSPACE(dequantize_runs);
SVR_CPU_OP(dequantize);
SVR_CPU_OP_WORKSPACE(dequantize);
SVR_CPU_OP(linear);
SVR_CPU_OP_WORKSPACE(linear);

/* transformer */
SVR_CPU_OP(swiglu);
SVR_CPU_OP_WORKSPACE(swiglu);
SVR_CPU_OP(rms_norm);
SVR_CPU_OP_WORKSPACE(rms_norm);
SVR_CPU_OP(patchify);
SVR_CPU_OP(unpatchify);
SVR_CPU_OP(qk_norm_rope);
SVR_CPU_OP_WORKSPACE(qk_norm_rope);
SVR_CPU_OP(window_attention);
SVR_CPU_OP_WORKSPACE(window_attention);
SVR_CPU_OP(guidance);
SVR_CPU_OP_WORKSPACE(guidance);
SVR_CPU_OP(noise);

#endif
