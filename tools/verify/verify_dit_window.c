/* Attention goldens: the sequences of all windows, and q, k and result of window 0.
 *
 * The network never holds the text result of one window (it takes the mean over windows), so `o` is
 * computed by the attention op from the q, k, v that the network showed, with window 0 alone. */
#include "dit/window.h"
#include "verify/verify_dit.h"

#include <stdio.h>
#include <string.h>

/* q, k, v of window 0: its video rows, then the text rows, [rows, 3, heads, hd]. */
typedef struct window {
    const verify_dit_attention *attention;
    int video_rows, text_rows;
    int64_t heads, head_dim;
    float *qkv;
    float *result; /* [rows, heads*hd] */
} window;

static svr_status attend(void *user, svr_exec *exec, svr_error *err)
{
    window *w = (window *) user;
    int64_t width = w->heads * w->head_dim;
    int32_t offsets[2] = {0, w->video_rows};
    g_autofree int32_t *order = g_new(int32_t, (size_t) w->video_rows);
    svr_window_attention_args args = {.host_offsets = offsets, .window_count = 1};
    svr_tensor shape =
        svr_tensor_4d(NULL, w->attention->storage, w->video_rows, 3, w->heads, w->head_dim);

    for (int i = 0; i < w->video_rows; i++)
        order[i] = i;
    SVR_TRY(device_put(exec, w->qkv, shape, &args.vid, err));
    shape.dims[0] = w->text_rows;
    SVR_TRY(device_put(exec, w->qkv + (int64_t) w->video_rows * 3 * width, shape, &args.txt, err));
    SVR_TRY(device_put_ints(exec, order, w->video_rows, &args.order, err));
    SVR_TRY(device_put_ints(exec, offsets, 2, &args.offsets, err));
    SVR_TRY(svr_exec_alloc(exec, shape.dtype, SVR_DIMS(w->video_rows, width), &args.out_vid, err));
    SVR_TRY(svr_exec_alloc(exec, shape.dtype, SVR_DIMS(w->text_rows, width), &args.out_txt, err));
    SVR_TRY(svr_op_window_attention(exec, &args, err));
    SVR_TRY(device_get(exec->backend, &args.out_vid, w->result, err));
    return device_get(exec->backend, &args.out_txt, w->result + w->video_rows * width, err);
}

/* Copies one of q, k, v (0, 1, 2) of all rows to `out` [rows, heads*hd]. */
static void take_part(const window *w, int part, float *out)
{
    int64_t width = w->heads * w->head_dim;

    for (int i = 0; i < w->video_rows + w->text_rows; i++)
        memcpy(out + i * width, w->qkv + (i * 3 + part) * width, (size_t) width * sizeof(float));
}

/* Compares `values` of all rows; of q and o, where the text ends, those of the video. */
static svr_status compare_rows(verify_run *run, const golden *g, const window *w, const char *name,
                               const float *values, svr_error *err)
{
    bool keys = g_str_has_suffix(name, ".k");
    int64_t width = w->heads * w->head_dim, all = (w->video_rows + w->text_rows) * width;
    const svr_safetensors_entry *entry;
    g_autofree float *want = NULL;

    if (keys || !w->attention->text_ends)
        return verify_tensor(run, g, name, values, (size_t) all, verify_dit_limit(run), err);
    SVR_TRY(golden_entry(g, name, -1, &entry, err));
    SVR_TRY(golden_floats(g, name, &want, err));
    if (svr_safetensors_elems(entry) != (size_t) all)
        verify_fail(&run->report, name, "another number of values here");
    else
        verify_compare(&run->report, name, values, want, (size_t) (w->video_rows * width),
                       verify_dit_limit(run));
    return SVR_OK;
}

static svr_status compare_parts(verify_run *run, const golden *g, window *w, svr_error *err)
{
    static const char parts[] = "qk";
    size_t n = (size_t) ((w->video_rows + w->text_rows) * w->heads * w->head_dim);
    g_autofree float *values = g_new(float, n);
    char name[64];

    for (int part = 0; part < 2; part++) {
        snprintf(name, sizeof(name), "block%d.win0.%c", w->attention->layer, parts[part]);
        if (!golden_has(g, name))
            continue;
        take_part(w, part, values);
        SVR_TRY(compare_rows(run, g, w, name, values, err));
    }
    snprintf(name, sizeof(name), "block%d.win0.o", w->attention->layer);
    if (!golden_has(g, name))
        return SVR_OK;
    w->result = values;
    SVR_TRY(device_run(&run->device, attend, w, NULL, err));
    return compare_rows(run, g, w, name, values, err);
}

/* Gathers the rows of window 0 from the taps; false when the network did not show them. */
static bool gather(const verify_dit_attention *a, const svr_windows *windows, window *w)
{
    char video_name[64], text_name[64];
    const device_tap *video, *text;
    size_t row;

    snprintf(video_name, sizeof(video_name), "block%d.qkv.vid", a->layer);
    snprintf(text_name, sizeof(text_name), "block%d.qkv.txt", a->layer);
    video = device_taps_find(a->taps, video_name);
    text = device_taps_find(a->taps, text_name);
    if (!video || !text || video->shape.rank != 4 || text->shape.dims[0] != a->text_len)
        return false;
    w->video_rows = windows->offsets[1];
    w->text_rows = a->text_len;
    w->heads = video->shape.dims[2];
    w->head_dim = video->shape.dims[3];
    row = (size_t) (3 * w->heads * w->head_dim);
    w->qkv = g_new(float, (size_t) (w->video_rows + w->text_rows) * row);
    for (int i = 0; i < w->video_rows; i++)
        memcpy(w->qkv + (size_t) i * row, video->values + (size_t) windows->order[i] * row,
               row * sizeof(float));
    memcpy(w->qkv + (size_t) w->video_rows * row, text->values,
           (size_t) w->text_rows * row * sizeof(float));
    return true;
}

static svr_status compare_sequences(verify_run *run, const golden *g, const char *name,
                                    const svr_windows *windows, int text_len, svr_error *err)
{
    const svr_safetensors_entry *entry;
    g_autofree int64_t *want = NULL, *got = NULL;

    SVR_TRY(golden_entry(g, name, 1, &entry, err));
    SVR_TRY(golden_ints(g, name, &want, err));
    if (entry->dims[0] != windows->count + 1) {
        verify_fail(&run->report, name, "another number of windows here");
        return SVR_OK;
    }
    got = g_new(int64_t, (size_t) windows->count + 1);
    for (int i = 0; i <= windows->count; i++)
        got[i] = windows->offsets[i] + (int64_t) i * text_len;
    verify_compare_ints(&run->report, name, got, want, (size_t) windows->count + 1);
    return SVR_OK;
}

static bool has_window_tensors(const golden *g, int layer)
{
    static const char *const parts[] = {"q", "k", "o"};
    char name[64];

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        snprintf(name, sizeof(name), "block%d.win0.%s", layer, parts[i]);
        if (golden_has(g, name))
            return true;
    }
    return false;
}

svr_status verify_dit_window(verify_run *run, const golden *g, const verify_dit_attention *a,
                             svr_error *err)
{
    svr_arena *arena = svr_arena_create();
    window w = {.attention = a};
    svr_windows windows;
    svr_status status;
    char name[64];

    g_assert(arena);
    snprintf(name, sizeof(name), "block%d.cu_seqlens", a->layer);
    status = svr_windows_make(arena, a->grid, a->windows, a->layer % 2 == 1, &windows, err);
    if (status == SVR_OK && golden_has(g, name))
        status = compare_sequences(run, g, name, &windows, a->text_len, err);
    if (status == SVR_OK && has_window_tensors(g, a->layer)) {
        if (gather(a, &windows, &w))
            status = compare_parts(run, g, &w, err);
        else
            verify_fail(&run->report, "win0", "the network does not show q, k and v");
    }
    g_free(w.qkv);
    svr_arena_destroy(arena);
    return status;
}
