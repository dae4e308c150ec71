/* Arguments of the ops of the transformer and its sampler.  What holds for all ops: backend/ops.h.
 * Level 1. */
#ifndef SVR_BACKEND_OPS_TOKENS_H
#define SVR_BACKEND_OPS_TOKENS_H

#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif
#endif
