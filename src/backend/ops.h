/* THE op list: everything that networks and pixel code ask a device to do.
 *
 * Each op `name` has one argument struct svr_<name>_args, in the header of its subject (ops_vae.h,
 * ops_general.h, ops_tokens.h, ops_pixels.h, ops_colour.h), a checked entry svr_op_<name>() that
 * validates shapes once and dispatches, and in svr_ops an implementation and a workspace size.  An
 * op never allocates device memory: the entry takes the workspace from the exec's scratch and gives
 * it back.  Unless said otherwise
 *   - tensors are dense, row-major, borrowed until the op is finished, in memory of the backend;
 *   - "storage" is F32, F16 or BF16; arithmetic and accumulation are F32;
 *   - outputs may not overlap inputs;
 *   - an absent optional tensor is a zeroed svr_tensor;
 *   - errors are SHAPE (with op, tensor and shapes), UNSUPPORTED, CANCELLED, DEVICE.
 * Level 1.  Thread: the one that computes. */
#ifndef SVR_BACKEND_OPS_H
#define SVR_BACKEND_OPS_H

#include "backend/exec.h"
#include "backend/ops_colour.h"
#include "backend/ops_general.h"
#include "backend/ops_pixels.h"
#include "backend/ops_tokens.h"
#include "backend/ops_vae.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SVR_OP_LIST(X)                                                                             \
    X(conv3d)                                                                                      \
    X(tap_sum)                                                                                     \
    X(upsample_conv3d)                                                                             \
    X(group_norm)                                                                                  \
    X(group_moments)                                                                               \
    X(depth_to_space)                                                                              \
    X(frame_attention)                                                                             \
    X(copy)                                                                                        \
    X(copy_rows)                                                                                   \
    X(copy_window)                                                                                 \
    X(lincomb)                                                                                     \
    X(find_overflow)                                                                               \
    X(quantize)                                                                                    \
    X(quantize_runs)                                                                               \
    X(dequantize_runs)                                                                             \
    X(dequantize)                                                                                  \
    X(linear)                                                                                      \
    X(swiglu)                                                                                      \
    X(rms_norm)                                                                                    \
    X(patchify)                                                                                    \
    X(unpatchify)                                                                                  \
    X(qk_norm_rope)                                                                                \
    X(window_attention)                                                                            \
    X(guidance)                                                                                    \
    X(noise)                                                                                       \
    X(unpack)                                                                                      \
    X(pack)                                                                                        \
    X(resize)                                                                                      \
    X(to_model)                                                                                    \
    X(crop)                                                                                        \
    X(blur)                                                                                        \
    X(adain)                                                                                       \
    X(rgb_to_lab)                                                                                  \
    X(lab_to_rgb)                                                                                  \
    X(histogram)                                                                                   \
    X(match_histogram)                                                                             \
    X(match_ranks)                                                                                 \
    X(hsv)                                                                                         \
    X(saturation_mix)                                                                              \
    X(alpha_guide)

typedef svr_lab_args svr_rgb_to_lab_args;
typedef svr_lab_args svr_lab_to_rgb_args;

/* Implementations: NULL means that the backend cannot do it.  `workspace` holds the bytes that the
 * member's _workspace function asked for, 256-byte aligned (NULL function: none needed). */
typedef struct svr_ops {
/* C++ compilers warn of parentheses around the name of a member */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define SVR_OP_MEMBER(name)                                                                        \
    svr_status (*name)(svr_exec * exec, const svr_##name##_args *args, void *workspace,            \
                       svr_error *err);                                                            \
    size_t (*name##_workspace)(svr_backend * backend, const svr_##name##_args *args);
    /* NOLINTEND(bugprone-macro-parentheses) */
    SVR_OP_LIST(SVR_OP_MEMBER)
#undef SVR_OP_MEMBER
} svr_ops;

/* svr_op_conv3d(), svr_op_group_norm(), … : validate, take workspace, dispatch. */
#define SVR_OP_ENTRY(name)                                                                         \
    SVR_CHECKED svr_status svr_op_##name(svr_exec *exec, const svr_##name##_args *args,            \
                                         svr_error *err);
SVR_OP_LIST(SVR_OP_ENTRY)
#undef SVR_OP_ENTRY

#ifdef __cplusplus
}
#endif
#endif
