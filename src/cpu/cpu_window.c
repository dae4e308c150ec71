/* Attention in windows: one task is one head of one window.  Text results of a group of windows are
 * kept apart and then added in window order, so that the sum does not depend on the threads. */
#include "base/checked.h"
#include "cpu/cpu_attention.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_pack.h"
#include "cpu/cpu_rows.h"

#include <math.h>
#include <string.h>

enum { WINDOW_GROUP = 16 };

typedef struct windows {
    const svr_window_attention_args *args;
    const svr_cpu_simd *simd;
    int64_t heads, hd, L, longest; /* longest: most tokens of a sequence */
    int64_t group;                 /* windows at work at a time */
    int64_t first;                 /* first window of the group */
    bool wanted;                   /* whether text results are */
    float *text_sum;               /* [L, heads * hd] */
    float *text;                   /* [group, L, heads * hd] */
    float *scratches;
    size_t scratch; /* floats per thread */
} windows;

/* Sizes of a thread's pieces: q rows, packed k, v rows, then what svr_cpu_attend() needs. */
static size_t q_floats(const windows *w)
{
    return svr_cpu_floats((w->longest + SVR_CPU_QUERY_ROWS) * w->hd);
}

static size_t k_floats(const windows *w)
{
    return svr_cpu_packed_floats(w->longest, w->hd) + svr_cpu_floats(w->longest * w->hd);
}

static size_t v_floats(const windows *w)
{
    return (size_t) (w->longest * svr_cpu_padded(w->hd));
}

static size_t text_floats(const windows *w)
{
    return w->wanted ? svr_cpu_floats(w->L * w->heads * w->hd) : 0;
}

static windows windows_make(svr_backend *backend, const svr_window_attention_args *args)
{
    windows w = {.args = args, .simd = svr_cpu_of(backend)->simd};

    w.wanted = svr_tensor_present(&args->out_txt) || svr_tensor_present(&args->text_sum);
    w.heads = args->vid.dims[2], w.hd = args->vid.dims[3], w.L = args->txt.dims[0];
    for (int i = 0; i < args->window_count; i++)
        w.longest = svr_max_i64(w.longest, args->host_offsets[i + 1] - args->host_offsets[i]);
    w.longest += w.L;
    w.group = svr_min_i64(WINDOW_GROUP, args->window_count);
    w.scratch = q_floats(&w) + k_floats(&w) + v_floats(&w) + svr_cpu_attend_floats(w.longest, w.hd);
    return w;
}

size_t svr_cpu_window_attention_workspace(svr_backend *backend,
                                          const svr_window_attention_args *args)
{
    windows w = windows_make(backend, args);
    size_t threads = (size_t) svr_cpu_of(backend)->threads;

    return (text_floats(&w) * (size_t) (1 + w.group) + threads * w.scratch) * sizeof(float);
}

/* A head of a window while it is at work. */
typedef struct window_head {
    const windows *w;
    int64_t window, head;
    int64_t vid_count, count; /* video tokens; all tokens */
    int64_t vid_first;        /* position of the first in the order of windows */
} window_head;

/* Row of video token `i` of the window. */
static int64_t video_row(const window_head *h, int64_t i)
{
    const int32_t *order = h->w->args->order.data;

    return order ? order[h->vid_first + i] : h->vid_first + i;
}

/* Row `i` of the sequence for q, k or v (part 0, 1, 2), `width` >= hd floats with zeros behind. */
static void gather(const window_head *h, int part, float *dst, int64_t width)
{
    const windows *w = h->w;
    size_t hd = (size_t) w->hd;

    for (int64_t i = 0; i < h->count; i++, dst += width) {
        bool video = i < h->vid_count;
        const svr_tensor *from = video ? &w->args->vid : &w->args->txt;
        int64_t row = video ? video_row(h, i) : i - h->vid_count;

        w->simd->to_f32(svr_cpu_at(from, ((row * 3 + part) * w->heads + h->head) * w->hd),
                        from->dtype, dst, hd);
        memset(dst + hd, 0, ((size_t) width - hd) * sizeof(float));
    }
}

/* Results of sequence row `i` to their place. */
static void scatter(const window_head *h, int64_t i, const float *values)
{
    const windows *w = h->w;
    int64_t width = w->heads * w->hd, column = h->head * w->hd;

    if (i < h->vid_count) {
        svr_cpu_store(w->simd, &w->args->out_vid, video_row(h, i) * width + column, w->hd, values);
    } else if (w->wanted) {
        float *text = w->text + (size_t) (h->window - w->first) * text_floats(w);

        memcpy(text + (i - h->vid_count) * width + column, values, (size_t) w->hd * sizeof(float));
    }
}

static void window_task(void *context, int64_t index, int thread)
{
    const windows *w = context;
    window_head h = {.w = w, .window = w->first + index / w->heads, .head = index % w->heads};
    const int32_t *offset = w->args->host_offsets + h.window;
    float *q = w->scratches + (size_t) thread * w->scratch, *k = q + q_floats(w);
    float *plain_k = k + svr_cpu_packed_floats(w->longest, w->hd);
    float *v = k + k_floats(w), *scratch = v + v_floats(w);
    int64_t wanted;
    svr_cpu_keys keys;

    h.vid_first = offset[0] - w->args->host_offsets[0];
    h.vid_count = offset[1] - offset[0];
    h.count = h.vid_count + w->L;
    keys = (svr_cpu_keys){h.count, w->hd, k, v, svr_cpu_padded(w->hd), 1.0f / sqrtf((float) w->hd)};
    gather(&h, 0, q, w->hd);
    memset(q + h.count * w->hd, 0, (size_t) (SVR_CPU_QUERY_ROWS * w->hd) * sizeof(float));
    gather(&h, 1, plain_k, w->hd);
    for (int64_t block = 0; block < svr_cpu_blocks(h.count); block++)
        svr_cpu_pack_block(plain_k, w->hd, h.count, block, w->hd,
                           k + svr_cpu_block_start(block, w->hd));
    gather(&h, 2, v, keys.v_step);
    wanted = w->wanted ? h.count : h.vid_count;
    for (int64_t i = 0; i < wanted; i += SVR_CPU_QUERIES) {
        int64_t queries = svr_min_i64(SVR_CPU_QUERIES, wanted - i);
        const float *out =
            svr_cpu_attend(w->simd, &keys, q + i * w->hd, w->hd, (int) queries, scratch);

        for (int64_t j = 0; j < queries; j++)
            scatter(&h, i + j, out + j * keys.v_step);
    }
}

/* One row of text: adds the results of the group; the mean behind the last one. */
static void text_task(void *context, int64_t row, int thread)
{
    const windows *w = context;
    int64_t width = w->heads * w->hd;
    int64_t count = svr_min_i64(w->group, w->args->window_count - w->first);
    float *sum = w->text_sum + row * width, *mean = w->text + row * width;

    (void) thread;
    if (w->first == 0 && w->args->windows_before == 0)
        memset(sum, 0, (size_t) width * sizeof(float));
    for (int64_t i = 0; i < count; i++) {
        const float *text = w->text + (size_t) i * text_floats(w) + row * width;

        for (int64_t c = 0; c < width; c++)
            sum[c] += text[c];
    }
    if (w->first + count < w->args->window_count || !svr_tensor_present(&w->args->out_txt))
        return;
    for (int64_t c = 0; c < width; c++)
        mean[c] = sum[c] / (float) (w->args->windows_before + w->args->window_count);
    svr_cpu_store(w->simd, &w->args->out_txt, row * width, width, mean);
}

svr_status svr_cpu_window_attention(svr_exec *exec, const svr_window_attention_args *args,
                                    void *workspace, svr_error *err)
{
    windows w = windows_make(exec->backend, args);

    w.text_sum = workspace;
    w.text = w.text_sum + text_floats(&w);
    w.scratches = w.text + text_floats(&w) * (size_t) w.group;
    if (svr_tensor_present(&args->text_sum))
        w.text_sum = args->text_sum.data;
    for (w.first = 0; w.first < args->window_count; w.first += w.group) {
        int64_t count = svr_min_i64(w.group, args->window_count - w.first);

        SVR_TRY(svr_cpu_for(exec, count * w.heads, window_task, &w, err));
        if (w.wanted)
            SVR_TRY(svr_cpu_for(exec, w.L, text_task, &w, err));
    }
    return SVR_OK;
}
