/* Sizes, batches, mirrored frames and cross-fade weights, against the tables of the reference. */
#include "check.h"
#include "fixture.h"
#include "golden.h"
#include "video/sizes.h"
#include "video/temporal.h"

#include <stdio.h>
#include <stdlib.h>

static const char *data_dir;

static void test_short_side_sizes(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_tables");
    svr_tensor table = fixture_values(file, "", "size.h_w_short_max_outh_outw_padh_padw");

    CHECK(table.dims[0] == 11);
    for (int64_t i = 0; i < table.dims[0]; i++) {
        const int32_t *row = (const int32_t *) table.data + i * table.dims[1];
        svr_size in = {row[1], row[0]};

        for (int two_stage = 0; two_stage < 2; two_stage++) {
            svr_size_plan plan = svr_size_plan_short_side(in, row[2], row[3], two_stage, 16);
            svr_size last = plan.resize[plan.resizes - 1];

            CHECK(plan.output.height == row[4] && plan.output.width == row[5]);
            CHECK(plan.padded.height == row[6] && plan.padded.width == row[7]);
            CHECK((last.width & ~1) == plan.output.width);
            CHECK((last.height & ~1) == plan.output.height);
        }
    }
    free(table.data);
    svr_safetensors_close(file);
}

/* 360x640, short side 1080, long side at most 1800: the cap bites. */
static void test_two_stages(void)
{
    svr_size_plan two = svr_size_plan_short_side((svr_size){640, 360}, 1080, 1800, 1, 16);
    svr_size_plan one = svr_size_plan_short_side((svr_size){640, 360}, 1080, 1800, 0, 16);
    svr_size_plan idle = svr_size_plan_short_side((svr_size){640, 360}, 1080, 1920, 1, 16);

    CHECK(two.resizes == 2 && two.resize[0].width == 1920 && two.resize[0].height == 1080);
    CHECK(two.resize[1].width == 1800 && two.resize[1].height == 1012);
    CHECK(one.resizes == 1 && one.resize[0].width == 1800 && one.resize[0].height == 1012);
    CHECK(idle.resizes == 1 && idle.resize[0].width == 1920);
}

static void test_exact_size(void)
{
    svr_size_plan plan = svr_size_plan_exact((svr_size){641, 352}, 16);

    CHECK(plan.resizes == 1 && plan.resize[0].width == 641 && plan.resize[0].height == 352);
    CHECK(plan.output.width == 641 && plan.output.height == 352);
    CHECK(plan.padded.width == 656 && plan.padded.height == 352);
}

static void test_area_sizes(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_tables");
    svr_tensor table = fixture_values(file, "", "area.h_w_resh_resw_rh_rw_ch_cw");

    CHECK(table.dims[0] == 4);
    for (int64_t i = 0; i < table.dims[0]; i++) {
        const int32_t *row = (const int32_t *) table.data + i * table.dims[1];
        svr_size size = svr_size_area((svr_size){row[1], row[0]}, row[3], row[2]);

        CHECK(size.height == row[4] && size.width == row[5]);
        CHECK(size.height / 16 * 16 == row[6] && size.width / 16 * 16 == row[7]);
    }
    free(table.data);
    svr_safetensors_close(file);
}

static void test_mirrored_frames(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_tables");
    svr_tensor table = fixture_values(file, "", "pad.t_count_prepend_len_idx");

    CHECK(table.dims[0] == 150);
    for (int64_t r = 0; r < table.dims[0]; r++) {
        const int32_t *row = (const int32_t *) table.data + r * table.dims[1];
        int64_t n = row[0], count = row[1];

        if (count == 0 && !row[2])
            count = svr_padded_length(n, 4) - n;
        CHECK(n + count == row[3]);
        for (int64_t i = 0; i < row[3]; i++)
            CHECK((row[2] ? svr_head_index(n, count, i) : svr_tail_index(n, count, i)) ==
                  row[4 + i]);
    }
    free(table.data);
    svr_safetensors_close(file);
}

static void test_padded_length(void)
{
    CHECK(svr_padded_length(0, 4) == 0);
    CHECK(svr_padded_length(1, 4) == 1);
    CHECK(svr_padded_length(2, 4) == 5);
    CHECK(svr_padded_length(5, 4) == 5);
    CHECK(svr_padded_length(6, 4) == 9);
}

/* Rows: total, batch, overlap, uniform, effective overlap, i, start, end, padding, length, latents.
 */
static void test_batches(void)
{
    svr_safetensors *file = golden_open(data_dir, "pipe_tables");
    svr_tensor table =
        fixture_values(file, "", "batch.total_batch_ov_uniform_effov_i_start_end_upad_len_latT");

    CHECK(table.dims[0] == 27);
    for (int64_t i = 0; i < table.dims[0]; i++) {
        const int32_t *row = (const int32_t *) table.data + i * table.dims[1];
        bool last = i + 1 == table.dims[0] || row[table.dims[1] + 5] == 0;
        int64_t overlap, step = svr_batch_step(row[1], row[2], &overlap);
        int64_t start = row[5] * step, end = start + row[1] < row[0] ? start + row[1] : row[0];
        int64_t uniform = row[3] && end - start < row[1] ? row[1] - (end - start) : 0;

        CHECK(overlap == row[4] && start == row[6] && end == row[7]);
        CHECK(svr_batch_exists(row[0], start, overlap));
        CHECK(svr_batch_exists(row[0], start + step, overlap) == !last);
        CHECK(uniform == row[8] && end - start == row[9]);
        CHECK((svr_padded_length(end - start + uniform, 4) - 1) / 4 + 1 == row[10]);
    }
    CHECK(!svr_batch_exists(0, 0, 0));
    free(table.data);
    svr_safetensors_close(file);
}

static void check_blend(const svr_safetensors *file, int n)
{
    char prefix[16];
    svr_tensor weights, prev, cur, out;
    int64_t frame;

    snprintf(prefix, sizeof prefix, "n%d.", n);
    weights = fixture_values(file, prefix, "w_prev");
    prev = fixture_values(file, prefix, "prev");
    cur = fixture_values(file, prefix, "cur");
    out = fixture_values(file, prefix, "out");
    CHECK(weights.dims[0] == n);
    frame = svr_tensor_elems(&out) / n;
    for (int64_t i = 0; i < n * frame; i++) {
        float w = svr_overlap_weight(n, (int) (i / frame), true);
        float mixed = w * ((float *) prev.data)[i] + (1.0f - w) * ((float *) cur.data)[i];

        CHECK_NEAR(w, ((float *) weights.data)[i / frame], 1e-6);
        CHECK_NEAR(mixed, ((float *) out.data)[i], 1e-6);
    }
    free(weights.data);
    free(prev.data);
    free(cur.data);
    free(out.data);
}

static void test_overlap_weights(void)
{
    static const int overlaps[] = {1, 2, 3, 4, 5, 6, 8};
    svr_safetensors *file = golden_open(data_dir, "pipe_blend");

    for (size_t i = 0; i < sizeof overlaps / sizeof overlaps[0]; i++)
        check_blend(file, overlaps[i]);
    svr_safetensors_close(file);
}

/* Ours mixes every shared frame, and is symmetric. */
static void test_smooth_overlap_weights(void)
{
    for (int n = 1; n <= 9; n++) {
        for (int i = 0; i < n; i++) {
            float w = svr_overlap_weight(n, i, false);

            CHECK(w > 0.0f && w < 1.0f);
            CHECK(i == 0 || w < svr_overlap_weight(n, i - 1, false));
            CHECK_NEAR(w + svr_overlap_weight(n, n - 1 - i, false), 1.0, 1e-6);
        }
    }
    CHECK_NEAR(svr_overlap_weight(3, 0, false), 0.853553391, 1e-6);
}

int main(int argc, char **argv)
{
    data_dir = argc > 1 ? argv[1] : "tests/data";
    RUN(test_short_side_sizes);
    RUN(test_two_stages);
    RUN(test_exact_size);
    RUN(test_area_sizes);
    RUN(test_mirrored_frames);
    RUN(test_padded_length);
    RUN(test_batches);
    RUN(test_overlap_weights);
    RUN(test_smooth_overlap_weights);
    return check_done();
}
