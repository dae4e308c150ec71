#include "bench_cost.h"

/* ------------------------------------------------------------------ arithmetic */

static double elems(const svr_tensor *t)
{
    return svr_tensor_present(t) ? (double) svr_tensor_elems(t) : 0.0;
}

/* Multiply-adds of an output of `y` elements through filters w [K,…]. */
static double filtered(double y, const svr_tensor *w)
{
    return y * elems(w) / (double) w->dims[0];
}

/* The expansion of every frame and the convolution behind the shuffle, however it is done. */
static double upsampled(const svr_upsample_conv3d_args *a)
{
    double expanded = elems(&a->x) / (double) a->x.dims[3] * (double) a->up.dims[0];

    return filtered(expanded, &a->up) + filtered(elems(&a->y), &a->w);
}

static double window_products(const svr_window_attention_args *a)
{
    double width = (double) (a->vid.dims[2] * a->vid.dims[3]);
    double text = (double) a->txt.dims[0];
    bool wanted = svr_tensor_present(&a->out_txt) || svr_tensor_present(&a->text_sum);
    double text_queries = wanted ? text : 0.0, sum = 0.0;

    for (int i = 0; i < a->window_count; i++) {
        double tokens = a->host_offsets[i + 1] - a->host_offsets[i];

        sum += 2.0 * width * (tokens + text_queries) * (tokens + text);
    }
    return sum;
}

/* ------------------------------------------------------------------ bytes */

static double bytes_of(const svr_tensor *tensors, size_t count)
{
    double sum = 0.0;

    for (size_t i = 0; i < count; i++)
        if (svr_tensor_present(&tensors[i]))
            sum += (double) svr_tensor_bytes(&tensors[i]);
    return sum;
}

/* An operand that is changed in place is named twice. */
#define BYTES(...)                                                                                 \
    bytes_of((const svr_tensor[]){__VA_ARGS__},                                                    \
             sizeof((const svr_tensor[]){__VA_ARGS__}) / sizeof(svr_tensor))

#define COST(name, multiply_adds, moved)                                                           \
    bench_cost bench_cost_##name(const svr_##name##_args *a)                                       \
    {                                                                                              \
        return (bench_cost){.flop = 2.0 * (multiply_adds), .bytes = (moved)};                      \
    }

/* Rows that are read, and written. */
static double copied_rows(const svr_copy_rows_args *a)
{
    const svr_tensor *numbers = svr_tensor_present(&a->from) ? &a->from : &a->to;

    return 2.0 * elems(numbers) * (double) a->x.dims[1] * (double) svr_dtype_size(a->x.dtype);
}

static double copied_window(const svr_copy_window_args *a)
{
    return 2.0 * (double) (a->x.dims[0] * a->size[0] * a->size[1] * a->x.dims[3]) *
           (double) svr_dtype_size(a->x.dtype);
}

#define MOVES(name, moved) COST(name, 0.0, moved)

COST(conv3d, filtered(elems(&a->y), &a->w),
     BYTES(a->x, a->head, a->recent, a->w, a->b, a->residual, a->y))
MOVES(tap_sum, BYTES(a->s, a->head, a->y))
COST(upsample_conv3d, upsampled(a), BYTES(a->x, a->head, a->up, a->up_b, a->w, a->b, a->y))
MOVES(group_norm, BYTES(a->x, a->gamma, a->beta, a->y))
MOVES(group_moments, BYTES(a->x, a->moments))
MOVES(depth_to_space, BYTES(a->x, a->y))
COST(frame_attention, 2.0 * elems(&a->q) * (double) a->q.dims[1], BYTES(a->q, a->k, a->v, a->y))
MOVES(copy, BYTES(a->src, a->dst))
MOVES(copy_rows, copied_rows(a) + BYTES(a->from, a->to))
MOVES(copy_window, copied_window(a))
MOVES(lincomb, BYTES(a->a, a->b, a->y))
MOVES(find_overflow, BYTES(a->x))
MOVES(quantize, BYTES(a->x, a->y, a->scale))
MOVES(quantize_runs, BYTES(a->x, a->y, a->scales))
MOVES(dequantize_runs, BYTES(a->x, a->scales, a->y))
MOVES(dequantize, BYTES(a->x, a->scale, a->y))
COST(linear, elems(&a->y) * (double) a->x.dims[1],
     BYTES(a->x, a->w, a->b, a->gate, a->residual, a->y))
COST(swiglu, 2.0 * elems(&a->y) * (double) a->x.dims[1], BYTES(a->x, a->w_gate, a->w_up, a->y))
/* of x, as many rows as y has */
MOVES(rms_norm, elems(&a->y) * (double) svr_dtype_size(a->x.dtype) +
                    BYTES(a->weight, a->scale, a->shift, a->rows, a->y))
MOVES(patchify, BYTES(a->a, a->b, a->y))
MOVES(unpatchify, BYTES(a->x, a->y))
/* v, a third of qkv, is neither read nor written */
MOVES(qk_norm_rope, 2.0 / 3.0 * BYTES(a->qkv, a->qkv) +
                        BYTES(a->norm_q, a->norm_k, a->rows, a->cosines, a->sines))
COST(window_attention, window_products(a),
     BYTES(a->vid, a->txt, a->order, a->out_vid, a->out_txt, a->text_sum))
MOVES(guidance, BYTES(a->pos, a->neg, a->pos, a->x, a->x))
MOVES(noise, BYTES(a->y))
MOVES(unpack, (double) svr_frame_bytes(&a->info) + BYTES(a->rgb, a->alpha))
MOVES(pack, (double) svr_frame_bytes(&a->info) + BYTES(a->rgb, a->alpha))
MOVES(resize, BYTES(a->x, a->y))
MOVES(to_model, BYTES(a->x, a->y))
MOVES(crop, 2.0 * BYTES(a->y)) /* what is cut off need not be read */
MOVES(blur, BYTES(a->x, a->y))
MOVES(adain, BYTES(a->content, a->style, a->y))
MOVES(rgb_to_lab, BYTES(a->x, a->y))
MOVES(lab_to_rgb, BYTES(a->x, a->y))
MOVES(histogram, BYTES(a->x, a->counts))
MOVES(match_histogram, BYTES(a->x, a->counts, a->ref_counts, a->y))
MOVES(match_ranks, BYTES(a->x, a->ref, a->y))
MOVES(hsv, BYTES(a->content, a->style, a->y))
MOVES(saturation_mix, BYTES(a->content, a->style, a->wavelet, a->hsv, a->y))
MOVES(alpha_guide, BYTES(a->alpha, a->rgb, a->y, a->edges))
