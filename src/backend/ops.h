/* THE op list: everything that networks and pixel code ask a device to do.
 *
 * Each op `name` has one argument struct svr_<name>_args, a checked entry svr_op_<name>() that
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
#include "base/frame.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum svr_activation {
    SVR_ACT_NONE = 0,
    SVR_ACT_SILU,
    SVR_ACT_GELU_TANH /* .5 x (1 + tanh(sqrt(2/pi) (x + .044715 x^3))) */
} svr_activation;

/* ---------------------------------------------------------------------------- video VAE */

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

/* ---------------------------------------------------------------------------- general */

/* Same elements in another place or type: dst = src.  src, dst: same number of elements, storage
 * types, or any equal type. */
typedef struct svr_copy_args {
    svr_tensor src, dst;
} svr_copy_args;

/* Rows of D elements by number: row to[m] of y = row from[m] of x, m = 0 .. M-1.  Without `from` or
 * `to` that is row m; rows of y that are not named stay.
 *   x, y [.,D] of any equal type   from, to [M] I32, at least one of them; `to` names a row once.
 */
typedef struct svr_copy_rows_args {
    svr_tensor x, y, from, to;
} svr_copy_rows_args;

/* A window of each frame to another place: y[t, to + i] = x[t, from + i] for all i in [0, size);
 * the rest of y stays.   x [T,H,W,C], y [T,H',W',C] of any equal type; rows, then columns */
typedef struct svr_copy_window_args {
    svr_tensor x, y;
    int64_t from[2], to[2], size[2];
} svr_copy_window_args;

/* y = alpha * a (+ beta * b), optionally clamped to [lo, hi].
 *   a, b, y same number of elements, storage types; b optional; y may be a or b. */
typedef struct svr_lincomb_args {
    svr_tensor a, b, y;
    float alpha, beta;
    bool clamp;
    float lo, hi;
} svr_lincomb_args;

/* found becomes 1 when an element of x is infinite or not a number; else it stays as it is.
 *   x storage   found [1] I32. */
typedef struct svr_find_overflow_args {
    svr_tensor x, found;
} svr_find_overflow_args;

/* Rows to 8 bits with a scale each: y = x / scale rounded to nearest even, scale = max|row| / MAX,
 * MAX 448 or 127; a row below 2^-100 counts as 0 and has scale 1 (base/quantize.h).  A row with an
 * infinity or NaN has a scale that is not finite and comes back as NaN, all of it.
 *   x [M,K] storage   y [M,K] F8_E4M3 or I8   scale [M] F32. */
typedef struct svr_quantize_args {
    svr_tensor x, y, scale;
} svr_quantize_args;

/* Frames to 8 bits: a run of SVR_RUN_PIXELS neighbours in a row of pixels (fewer at its end), each
 * channel by itself, becomes y = (x - middle) / step, rounded to nearest even.  middle lies halfway
 * between the run's least and largest value, step makes the largest distance from it MAX (127 or
 * 448); both are rounded to the type of x, step up.  Is step below 2^-100, the run counts as
 * constant, with step 0.  What holds an infinity or NaN, or spans more than F32 can, has NaN for
 * both: all of it comes back as NaN.
 *   x [R,W,C] storage   y [R,W,C] I8 or F8_E4M3
 *   scales [R,N,2,C] like x, N = ceil(W/SVR_RUN_PIXELS): middle and step of each run. */
enum { SVR_RUN_PIXELS = 32 };
#define SVR_RUN_LEAST_STEP 0x1p-100f
typedef struct svr_quantize_runs_args {
    svr_tensor x, y, scales;
} svr_quantize_runs_args;

/* The way back: y = middle + step * x in F32, rounded.
 *   x [R,W,C] I8 or F8_E4M3   scales [R,N,2,C] like y   y [R,W,C] storage. */
typedef struct svr_dequantize_runs_args {
    svr_tensor x, scales, y;
} svr_dequantize_runs_args;
/* The way back: y[m,k] = scale[m] * x[m,k] in F32, rounded to the type of y.
 *   x [M,K] F8_E4M3 or I8   scale [M] F32   y [M,K] storage. */
typedef struct svr_dequantize_args {
    svr_tensor x, scale, y;
} svr_dequantize_args;

/* K of products of I8: 127 * 127 * K fits into a signed integer of 32 bits. */
#define SVR_I8_DEPTH 133144

/* y = residual + gate * act(x w^T + b).
 *   x [M,K] storage   w [N,K] weight type   b [N] F32 optional   gate [N] F32 optional
 *   residual [M,N] optional, may be y   y [M,N] storage.
 * Quantised: x and w F8_E4M3 with x_scale [M] and w_scale [N] F32; the product of row m and output
 * n is multiplied by x_scale[m] * w_scale[n] before anything else.  Tensor cores may sum the
 * products with fewer bits than F32 has.  Or x and w I8 with these scales: the sum of integers is
 * exact, rounded once to F32 and scaled as above; K up to SVR_I8_DEPTH.
 * Quantised weights alone: w I8 with w_scale [N] F32, x storage without a scale; the factor is
 * w_scale[n] * w[n,k] in F32, rounded to the type of x. */
typedef struct svr_linear_args {
    svr_tensor x, w, b, gate, residual, y;
    svr_tensor x_scale, w_scale;
    svr_activation activation;
} svr_linear_args;

/* ---------------------------------------------------------------------------- transformer */

/* y = silu(x w_gate^T) * (x w_up^T).   x [M,K] storage, w_gate and w_up [F,K], y [M,F] storage.
 * Quantised, as in svr_linear_args: x and both weights F8_E4M3, or all three I8, with x_scale [M],
 * gate_scale and up_scale [F] F32; or both weights alone I8 with their scales.
 * Source: spec dit §5. */
typedef struct svr_swiglu_args {
    svr_tensor x, w_gate, w_up, y;
    svr_tensor x_scale, gate_scale, up_scale;
} svr_swiglu_args;

/* y = x / sqrt(mean(x^2) + eps) [* weight] [* scale + shift], rows of D.
 *   x [M,D] storage   weight, scale, shift [D] F32 optional (scale and shift together)
 *   rows [M] I32 optional: row m of y is made from row rows[m] of x, which may have any number
 *   y [M,D] storage; or F8_E4M3 or I8 with y_scale [M] F32: the rows quantised as by
 *   svr_quantize_args.
 * Source: spec dit §1, §5. */
typedef struct svr_rms_norm_args {
    svr_tensor x, weight, scale, shift, rows, y, y_scale;
    float eps;
} svr_rms_norm_args;

/* Neighbouring latent pixels to tokens: token (ti*h + hi)*w + wi, feature (r*P + c)*(Ca+Cb) + k
 * for channel k, a's channels first.
 *   a [t,P*h,P*w,Ca], b [t,P*h,P*w,Cb] optional, storage
 *   y [t*h*w, P*P*(Ca+Cb)] storage.   Source: spec dit §2. */
typedef struct svr_patchify_args {
    svr_tensor a, b, y;
    int patch; /* P */
} svr_patchify_args;

/* The way back: x [t*h*w, P*P*C] storage to y [t,P*h,P*w,C] storage. */
typedef struct svr_unpatchify_args {
    svr_tensor x, y;
    int patch;
} svr_unpatchify_args;

/* In place on qkv [S,3,heads,hd] storage: q and k get y = rms(.) * weight over hd, then channels
 * (2j, 2j+1) of axis a, j in [a*p, (a+1)*p), are rotated by the angle in row rows[s][a], column
 * j - a*p of the tables; channels from 2*3*p on pass.  v stays.
 *   norm_q, norm_k [hd] F32   rows [S,3] I32 optional (absent: no rotation)
 *   cosines, sines [R,p] F32.   Source: spec dit §6, §8. */
typedef struct svr_qk_norm_rope_args {
    svr_tensor qkv, norm_q, norm_k, rows, cosines, sines;
    float eps;
} svr_qk_norm_rope_args;

/* Attention in windows that share the text.  Window i holds video tokens
 * order[offsets[i] .. offsets[i+1]); its sequence is those, then all text tokens; queries are all
 * of it; full softmax, scale 1/sqrt(hd).  Video results go to their token's row, text results are
 * the plain mean over windows, summed in window order.
 * Windows may come in groups, one call each: offsets count from offsets[0], and the text results
 * of the `windows_before` in the calls before are in text_sum, to which those of this call are
 * added.  The mean is over all of them, so the last call gives what one call would.
 *   vid [Nv,3,heads,hd], txt [L,3,heads,hd] storage
 *   order [Nv] I32, optional: without it rows of vid lie in the order of windows
 *   offsets [nW+1] I32 on the device, host_offsets the same on the host
 *   out_vid [Nv,heads*hd] storage   out_txt [L,heads*hd] storage, optional
 *   text_sum [L,heads*hd] F32, optional, in place; read where windows_before > 0.
 * Text results are made where there is out_txt or text_sum.   Source: spec dit §6. */
typedef struct svr_window_attention_args {
    svr_tensor vid, txt, order, offsets, out_vid, out_txt, text_sum;
    const int32_t *host_offsets;
    int window_count, windows_before;
} svr_window_attention_args;

/* Guidance in place: pos = neg + scale * (pos - neg), then, with rescale r != 0, each row times
 * r * std(pos_before)/std(pos) + (1-r), unbiased std over the row's C channels; then the Euler step
 * x = x + step * pos, with pos before it is rounded to its type.
 *   pos, neg [N,C] storage   x [N,C] storage, optional.   Source: spec pipeline §6, §7.1. */
typedef struct svr_guidance_args {
    svr_tensor pos, neg, x;
    float scale, rescale, step;
} svr_guidance_args;

/* Position-keyed N(0,1): y[f,yy,xx,c] of base/rng.h at (x0+xx, y0+yy, frame0+f).
 *   y [t,h,w,C] storage, C a multiple of 4. */
typedef struct svr_noise_args {
    svr_tensor y;
    uint64_t seed;
    uint32_t stream, frame0, y0, x0;
} svr_noise_args;

/* ---------------------------------------------------------------------------- pixels
 * Pictures are F32 [T,H,W,C] with C = 3 (R,G,B) or 1; "unit" values lie in [0,1], "model" values in
 * [-1,1]. */

/* Integers of one frame (planes in memory of the backend) to unit R'G'B' and alpha.
 *   rgb [H,W,3] F32   alpha [H,W] F32 optional: 1 for formats without.  Formats, matrix and ranges:
 * base/frame.h; coarse chroma is interpolated at its siting (base/frame_math.h); grey is luma in
 * all three colours.  Planes and strides are multiples of the format's words.
 * Values outside [0,1] (video range foot- and headroom, colours that no R'G'B' has) are kept. */
typedef struct svr_unpack_args {
    svr_video_info info;
    svr_frame frame;
    svr_tensor rgb, alpha;
} svr_unpack_args;

/* Model R'G'B' (and unit alpha) to the integers of one frame: clamp, (x+1)/2, matrix, chroma
 * filtered at its siting so that it undoes unpack, round half to even.  Alpha absent: opaque.
 *   rgb [H,W,3] F32   alpha [H,W] F32 optional
 * truncate: drop the fraction instead of rounding (the reference's habit, for verification). */
typedef struct svr_pack_args {
    svr_video_info info;
    svr_frame frame;
    svr_tensor rgb, alpha;
    bool truncate;
} svr_pack_args;

/* Taps of one axis: output o = sum_j weight[o][j] * input[first[o] + j]. */
typedef struct svr_resize_axis {
    svr_tensor first;  /* [n_out] I32 */
    svr_tensor weight; /* [n_out, taps] F32; unused taps are 0, and first + taps <= n_in */
} svr_resize_axis;

/* Separable resampling, columns (width) first.   x [T,H,W,C], y [T,H',W',C] F32. */
typedef struct svr_resize_args {
    svr_tensor x, y;
    svr_resize_axis horizontal, vertical;
} svr_resize_args;

/* Unit picture to model values: clamp to [0,1], 2v-1, missing columns and rows (right, bottom) are
 * black (-1).   x [T,H,W,3] F32, y [T,Hp,Wp,3] storage, Hp >= H, Wp >= W. */
typedef struct svr_to_model_args {
    svr_tensor x, y;
} svr_to_model_args;

/* Top left [H,W] part of each frame.   x [T,Hp,Wp,C], y [T,H,W,C] storage types. */
typedef struct svr_crop_args {
    svr_tensor x, y;
} svr_crop_args;

/* Binomial [1 2 1]/4 blur in both directions with dilation `radius`, replicated border.
 *   x, y [T,H,W,C] F32.   Source: spec pipeline §11 "low band". */
typedef struct svr_blur_args {
    svr_tensor x, y;
    int radius;
} svr_blur_args;

/* Per frame and channel: y = (c - mean_c)/std_c * std_s + mean_s, std = sqrt(unbiased var + 1e-5).
 *   content, style, y [T,H,W,3] F32; y may be content.   Source: spec pipeline §11 adain. */
typedef struct svr_adain_args {
    svr_tensor content, style, y;
} svr_adain_args;

/* Model R'G'B' to CIE Lab (clamped to unit first), and back (clamped).   x, y [T,H,W,3] F32, y may
 * be x.   Source: spec pipeline §11 lab. */
typedef struct svr_lab_args {
    svr_tensor x, y;
} svr_lab_args;

/* Counts in counts[c][bin] the elements of channel c of x, bin = trunc((x - lo) / (hi - lo) * bins)
 * with x outside [lo, hi] left out and hi in the last bin.
 *   x [T,H,W,3] F32   counts [3, bins] I32, read as unsigned: up to 2^32 - 1 a bin;
 *   accumulate: adds to what is there, else starts at 0. */
typedef struct svr_histogram_args {
    svr_tensor x, counts;
    float lo[3], hi[3];
    bool accumulate;
} svr_histogram_args;

/* y = keep[c] * x + (1 - keep[c]) * matched(x): channel c of x goes through its own cumulative
 * histogram into the inverse of the reference's, linear inside the bins.
 * A share that falls on a gap of the reference belongs to the values above the gap.
 *   x, y [T,H,W,3] F32, y may be x   counts, ref_counts [3, bins] I32 (each non-empty).
 * Source: oracle match_hist. */
typedef struct svr_match_histogram_args {
    svr_tensor x, counts, ref_counts, y;
    float keep[3], lo[3], hi[3];
} svr_match_histogram_args;

/* The same with exact ranks: k-th smallest takes k-th smallest over all frames together, stable
 * ties.  For verification.
 *   x, ref, y [T,H,W,3] F32; y may be x.   Source: spec pipeline §11 rank match. */
typedef struct svr_match_ranks_args {
    svr_tensor x, ref, y;
    float keep[3];
} svr_match_ranks_args;

/* Saturation of content matched to style per hue bin (12 bins, > 100 pixels on both sides, exact
 * ranks).   content, style, y [T,H,W,3] F32 model values; y may be content.
 * Source: spec pipeline §11 hsv. */
typedef struct svr_hsv_args {
    svr_tensor content, style, y;
} svr_hsv_args;

/* y = wavelet * (1-m) + hsv * m with the saturation mask m.   All [T,H,W,3] F32 model values; y may
 * be any of the inputs.   Source: spec pipeline §11 wavelet_adaptive. */
typedef struct svr_saturation_mix_args {
    svr_tensor content, style, wavelet, hsv, y;
} svr_saturation_mix_args;

/* Edge guidance of an upscaled alpha plane by the decoded picture; mask_like selects the sharp form
 * for alpha that is nearly all 0 or 1; negative_rgb says that the batch's rgb has values below 0,
 * so it is rescaled to unit first.   alpha [T,H,W], y [T,H,W] F32 unit; rgb [T,H,W,3] F32.
 *   edges [T,H,W] F32 optional output: the edge map (mask_like only).
 * The filter's means are over boxes: inside_only divides by the pixels inside the frame, so that
 * borders keep their alpha; else by the whole box, as the reference does (verification). Source:
 * spec pipeline §12. */
typedef struct svr_alpha_guide_args {
    svr_tensor alpha, rgb, y, edges;
    bool mask_like, negative_rgb, inside_only;
} svr_alpha_guide_args;

/* ---------------------------------------------------------------------------- the table */

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
