/* Arguments of the ops of the video VAE.  What holds for all ops: backend/ops.h.  Level 1. */
#ifndef SVR_BACKEND_OPS_VAE_H
#define SVR_BACKEND_OPS_VAE_H

#include "backend/activation.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Causal 3-D convolution (cross-correlation) over padded time P = [head | recent | x]:
 *   y[j] = b + sum_k w[:,k] * P[j*stride_t + k] (+ residual[j]),  T' = (len(P) - kt) / stride_t + 1
 * Without head, x[0] is repeated kt-1 times in front (clip start).  Space is zero-padded.
 * head_starts (kt 3, stride_t 1): head is the clip's frame 0 alone and is repeated once in front.
 *   x [T,H,W,C] storage   head [0..kt-1,H,W,C] like x, optional
 *   recent [1,H,W,C] like x, optional: the last frame in front of x, where it does not lie behind
 *   head; head then holds at most kt-2
 *   w [K,kt,kh,kw,C] weight type   b [K] F32, optional
 *   y [T',H',W',K] like x, or F32   residual like y, optional, may be y itself
 *   moments [T',G,3] F32, optional: statistics of G groups of channels of each frame of y for the
 *   group_norm that follows: the mean as a sum of two numbers, and the biased variance
 * H' = (H + pad_top + pad_bottom - kh) / stride_s + 1, W' likewise.
 * Source: spec vae §3, §6. */
typedef struct svr_conv3d_args {
    svr_tensor x, head, recent, w, b, residual, y, moments;
    int stride_t, stride_s;
    int pad_top, pad_bottom, pad_left, pad_right;
    bool head_starts;
} svr_conv3d_args;

/* Group normalisation of each frame by itself, biased variance, then the activation:
 *   y = act((x - mean) / sqrt(var + eps) * gamma + beta),  statistics over (C/groups, H, W)
 *   x, y [T,H,W,C] storage, y may be x   gamma, beta [C] F32
 *   moments [T,groups,3] F32, optional: the statistics, where the op that made x has them (conv3d).
 * Source: spec vae §3. */
typedef struct svr_group_norm_args {
    svr_tensor x, gamma, beta, moments, y;
    int groups;
    float eps;
    svr_activation activation;
} svr_group_norm_args;

/* Channels to space and time: channel ((dy*2 + dx)*tz + dz)*C + c of x at (t,i,j) becomes channel c
 * of frame t*tz+dz at (2i+dy, 2j+dx).  drop_second leaves out output frame 1 (clip start, tz 2).
 *   x [T,H,W,4*tz*C] storage   y [T*tz - drop_second, 2H, 2W, C] like x.   Source: spec vae §3. */
typedef struct svr_depth_to_space_args {
    svr_tensor x, y;
    int tz; /* 1 or 2 */
    bool drop_second;
} svr_depth_to_space_args;

/* The temporal half of a causal convolution whose spatial half, one product a tap, is done:
 *   y[t][k] = b[k] + sum_j P[t + j][k*taps + j],  P = [head | s]
 * Without head, s[0] is repeated taps-1 times in front (clip start).
 *   s [T,H,W,K*taps] F32   head [taps-1,H,W,K*taps] F32, optional   b [K] F32, optional
 *   y [T,H,W,K] storage. */
typedef struct svr_tap_sum_args {
    svr_tensor s, head, b, y;
} svr_tap_sum_args;

/* Upsampling by 2 in space and by tz in time, then a causal 3x3x3 convolution:
 *   u = depth_to_space(x up^T + up_b),  y = conv3d(u, w, b) with one zero all round in space.
 * Without head the clip starts: with tz 2 u lacks frame 1, as with drop_second.
 * head_starts: head is the clip's frame 0 alone, as at the start of a longer x.
 *   x [T,H,W,C] storage   head [3 - tz, or 1 that starts,H,W,C] like x, optional: frames before x
 *   up [4*tz*M,1,1,1,C] weight type, up_b [4*tz*M] F32
 *   w [K,3,3,3,M] weight type, b [K] F32, optional
 *   y [tz*T - (tz 2 without head: 1), 2H, 2W, K] like x, or F32
 *   moments [.,G,3] F32, optional: of y, as in conv3d
 * A backend may merge the weights (rounding them once more) and never make u.
 * Source: spec vae §3, §10.1. */
typedef struct svr_upsample_conv3d_args {
    svr_tensor x, head, up, up_b, w, b, y, moments;
    int tz; /* 1 or 2 */
    bool head_starts;
} svr_upsample_conv3d_args;

/* Statistics of each frame for group_norm, of G groups of channels, as conv3d makes them.
 *   x [T,H,W,C] storage   moments [T,G,3] F32 */
typedef struct svr_group_moments_args {
    svr_tensor x, moments;
} svr_group_moments_args;

/* Single-head attention inside each frame: y[t] = softmax(q[t] k[t]^T / sqrt(C)) v[t].
 *   q, k, v, y [T,L,C] storage.   Source: spec vae §3. */
typedef struct svr_frame_attention_args {
    svr_tensor q, k, v, y;
} svr_frame_attention_args;

#ifdef __cplusplus
}
#endif
#endif
