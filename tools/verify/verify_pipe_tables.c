/* pipe_tables: index and size arithmetic, timestep transform, 8-bit quantiser. */
#include "base/checked.h"
#include "dit/sampler.h"
#include "verify/verify.h"
#include "video/sizes.h"
#include "video/temporal.h"

#include <string.h>

enum {
    TIME_FACTOR = 4,
    GRID = 16,
    OUT_OF_RANGE = -2 /* stands where a row's input makes no sense, so that it fails */
};

/* A table of integers whose rows are compared one by one. */
typedef struct table {
    const char *name;
    int64_t rows, columns;
    int64_t *want, *got; /* got starts as a copy: what is input stays equal */
} table;

static svr_status open_table(const golden *g, const char *name, int64_t columns, table *t,
                             svr_error *err)
{
    const svr_safetensors_entry *entry;

    SVR_TRY(golden_entry(g, name, 2, &entry, err));
    if (columns > 0 ? entry->dims[1] != columns : entry->dims[1] < -columns)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s has another number of columns",
                        svr_safetensors_path(g->file), name);
    SVR_TRY(golden_ints(g, name, &t->want, err));
    t->name = name;
    t->rows = entry->dims[0];
    t->columns = entry->dims[1];
    t->got = g_memdup2(t->want, (size_t) (t->rows * t->columns) * sizeof(int64_t));
    return SVR_OK;
}

static void close_table(verify_run *run, table *t)
{
    verify_compare_ints(&run->report, t->name, t->got, t->want, (size_t) (t->rows * t->columns));
    g_free(t->want);
    g_free(t->got);
}

/* t, count (0: up to 4n+1), in front?, length, indices, then -1. */
static void pad_row(int64_t *row, int64_t columns)
{
    int64_t n = row[0], count = row[1], length;

    if (n < 1 || n > columns || count < 0 || count > columns) {
        row[3] = OUT_OF_RANGE;
        return;
    }
    length = n + count;
    if (count == 0 && row[2] == 0)
        length = svr_padded_length(n, TIME_FACTOR);
    row[3] = length;
    for (int64_t i = 0; i < columns - 4; i++) {
        int64_t added = length - n, index = -1;

        if (i < length)
            index = row[2] ? svr_head_index(n, added, i) : svr_tail_index(n, added, i);
        row[4 + i] = index;
    }
}

/* total, batch, overlap, uniform, effective overlap, i, start, end, frames added to make the batch
 * uniform, true frames, latent frames */
static void batch_row(int64_t *row, int64_t columns)
{
    int64_t total = row[0], batch = row[1], effective = 0, step, start, frames, added;

    (void) columns;
    if (total < 1 || batch < 1) {
        row[10] = OUT_OF_RANGE;
        return;
    }
    step = svr_batch_step(batch, row[2], &effective);
    start = row[5] * step;
    frames = svr_min_i64(start + batch, total) - start;
    added = row[3] ? svr_max_i64(batch - frames, 0) : 0;
    row[4] = effective;
    row[6] = svr_batch_exists(total, start, effective) ? start : -1;
    row[7] = start + frames;
    row[8] = added;
    row[9] = frames;
    row[10] = (svr_padded_length(frames + added, TIME_FACTOR) - 1) / TIME_FACTOR + 1;
}

/* h, w, short side, longest side, output h, w, padded h, w */
static void size_row(int64_t *row, int64_t columns)
{
    svr_size in = {.width = (int) row[1], .height = (int) row[0]};
    svr_size_plan plan = svr_size_plan_short_side(in, (int) row[2], (int) row[3], 1, GRID);

    (void) columns;
    row[4] = plan.output.height;
    row[5] = plan.output.width;
    row[6] = plan.padded.height;
    row[7] = plan.padded.width;
}

/* h, w, area h, w, resized h, w, cropped h, w */
static void area_row(int64_t *row, int64_t columns)
{
    svr_size in = {.width = (int) row[1], .height = (int) row[0]};
    svr_size size = svr_size_area(in, (int) row[3], (int) row[2]);

    (void) columns;
    row[4] = size.height;
    row[5] = size.width;
    row[6] = (int64_t) (size.height / GRID) * GRID;
    row[7] = (int64_t) (size.width / GRID) * GRID;
}

static svr_status check_tables(verify_run *run, const golden *g, svr_error *err)
{
    static const struct {
        const char *name;
        int64_t columns; /* negative: at least */
        void (*fill)(int64_t *row, int64_t columns);
    } tables[] = {
        {"pad.t_count_prepend_len_idx", -5, pad_row},
        {"batch.total_batch_ov_uniform_effov_i_start_end_upad_len_latT", 11, batch_row},
        {"size.h_w_short_max_outh_outw_padh_padw", 8, size_row},
        {"area.h_w_resh_resw_rh_rw_ch_cw", 8, area_row},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++) {
        table t;

        SVR_TRY(open_table(g, tables[i].name, tables[i].columns, &t, err));
        for (int64_t row = 0; row < t.rows; row++)
            tables[i].fill(t.got + row * t.columns, t.columns);
        close_table(run, &t);
    }
    return SVR_OK;
}

static svr_status check_timesteps(verify_run *run, const golden *g, svr_error *err)
{
    static const verify_limit limit = {.max_abs = 2e-4};
    const svr_safetensors_entry *shapes_entry, *times_entry;
    g_autofree int64_t *shapes = NULL;
    g_autofree float *times = NULL, *got = NULL;
    int64_t n_times, n_shapes;

    SVR_TRY(golden_entry(g, "tt.latent_thw", 2, &shapes_entry, err));
    SVR_TRY(golden_entry(g, "tt.t", 1, &times_entry, err));
    SVR_TRY(golden_ints(g, "tt.latent_thw", &shapes, err));
    SVR_TRY(golden_floats(g, "tt.t", &times, err));
    n_shapes = shapes_entry->dims[0];
    n_times = times_entry->dims[0];
    if (shapes_entry->dims[1] != 3)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: tt.latent_thw should have 3 columns",
                        svr_safetensors_path(g->file));
    got = g_new(float, (size_t) (n_shapes * n_times));
    for (int64_t i = 0; i < n_shapes; i++) {
        int latent[3] = {(int) shapes[3 * i], (int) shapes[3 * i + 1], (int) shapes[3 * i + 2]};

        for (int64_t j = 0; j < n_times; j++)
            got[i * n_times + j] = (float) svr_timestep_transform(times[j], latent);
    }
    return verify_tensor(run, g, "tt.out", got, (size_t) (n_shapes * n_times), &limit, err);
}

/* Values through the quantiser, three to a pixel. */
typedef struct quantiser {
    const float *values;
    int64_t pixels;
    bool truncate;
    uint8_t *bytes; /* [pixels, 3] */
} quantiser;

static svr_status quantise(void *user, svr_exec *exec, svr_error *err)
{
    quantiser *q = (quantiser *) user;
    svr_pack_args args = {.info = {.format = SVR_PIXEL_RGB, .width = (int) q->pixels, .height = 1},
                          .truncate = q->truncate};
    svr_tensor bytes;

    SVR_TRY(
        device_put(exec, q->values, svr_tensor_3d(NULL, SVR_F32, 1, q->pixels, 3), &args.rgb, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_U8, SVR_DIMS(3 * q->pixels), &bytes, err));
    args.frame = svr_frame_packed(&args.info, (uint8_t *) bytes.data);
    SVR_TRY(svr_op_pack(exec, &args, err));
    return svr_backend_download(exec->backend, q->bytes, bytes.data, (size_t) (3 * q->pixels), err);
}

static svr_status check_quantiser(verify_run *run, const golden *g, svr_error *err)
{
    static const char *const names[] = {"quant.bytedance", "quant.numz"};
    static const verify_limit limit = {.exact = true};
    const svr_safetensors_entry *entry;
    g_autofree float *in = NULL, *values = NULL, *got = NULL;
    g_autofree uint8_t *bytes = NULL;
    size_t n;

    SVR_TRY(golden_entry(g, "quant.in", 1, &entry, err));
    SVR_TRY(golden_floats(g, "quant.in", &in, err));
    n = svr_safetensors_elems(entry);
    values = g_new0(float, n + 3);
    memcpy(values, in, n * sizeof(float));
    bytes = g_new0(uint8_t, n + 3);
    got = g_new0(float, n + 3);
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        quantiser q = {
            .values = values, .pixels = (int64_t) (n + 2) / 3, .truncate = i == 1, .bytes = bytes};

        SVR_TRY(device_run(&run->device, quantise, &q, NULL, err));
        for (size_t k = 0; k < n; k++)
            got[k] = bytes[k];
        SVR_TRY(verify_tensor(run, g, names[i], got, n, &limit, err));
    }
    return SVR_OK;
}

svr_status verify_pipe_tables(verify_run *run, const golden *g, svr_error *err)
{
    SVR_TRY(check_tables(run, g, err));
    SVR_TRY(check_timesteps(run, g, err));
    return check_quantiser(run, g, err);
}
