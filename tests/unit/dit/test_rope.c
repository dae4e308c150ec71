/* Rotary angles against the reference's, bit-equal or 1 ulp.
 *   test_rope DATA_DIR */
#include "dit/rope.h"

#include "check.h"
#include "golden.h"

#include <stdlib.h>

enum { TEXT_LEN = 58 };

static const char *data_dir;

/* One window as large as the grid. */
static svr_windows whole_window(const int grid[3], svr_segment segments[3])
{
    svr_windows windows = {.count = 1};

    for (int axis = 0; axis < 3; axis++) {
        segments[axis] = (svr_segment){0, grid[axis]};
        windows.axis[axis] = (svr_axis_cut){1, &segments[axis]};
    }
    return windows;
}

/* Angles of the tokens, gathered through `rows`, against want [count, 3p]. */
static void check_angles(const svr_rope_table *table, const int32_t *rows, int pairs,
                         const float *want, size_t count)
{
    for (size_t token = 0; token < count; token++) {
        for (int i = 0; i < 3 * pairs; i++) {
            int row = rows[token * 3 + (size_t) (i / pairs)];
            CHECK(row >= 0 && row < table->rows);
            float got = table->angles[row * pairs + i % pairs];
            CHECK(golden_ulp(got, want[token * 3 * (size_t) pairs + (size_t) i]) <= 1);
        }
    }
}

static void check_grid(const svr_safetensors *file, const svr_dit_config *config, const char *name,
                       const int grid[3])
{
    svr_error err = {0};
    svr_segment segments[3];
    svr_rope_table table;
    svr_arena *arena = svr_arena_create();
    svr_windows windows = whole_window(grid, segments);
    size_t tokens = (size_t) (grid[0] * grid[1] * grid[2]), count;
    float *want = golden_floats(file, name, &count);

    CHECK(count == tokens * 3 * (size_t) config->rope_pairs);
    CHECK_OK(svr_rope_table_make(arena, config, &windows, TEXT_LEN, &table, &err), err);
    check_angles(&table, table.video_rows, config->rope_pairs, want, tokens);
    free(want);
    if (config->kind == SVR_MODEL_DIT_7B) {
        CHECK(table.text_rows == NULL);
    } else {
        want = golden_floats(file, "text58", &count);
        CHECK(count == (size_t) TEXT_LEN * 3 * (size_t) config->rope_pairs);
        check_angles(&table, table.text_rows, config->rope_pairs, want, TEXT_LEN);
        free(want);
    }
    svr_arena_destroy(arena);
}

static void check_model(const char *name, svr_model_kind kind)
{
    svr_dit_config config = svr_dit_config_published(kind);
    svr_safetensors *file = golden_open(data_dir, name);
    float got[64];
    size_t count;
    float *want = golden_floats(file, "freqs", &count);

    CHECK(count == (size_t) config.rope_pairs);
    svr_rope_frequencies(&config, got);
    for (size_t i = 0; i < count; i++)
        CHECK(golden_ulp(got[i], want[i]) <= 1);
    free(want);
    check_grid(file, &config, "video_1x15x27", (const int[]){1, 15, 27});
    check_grid(file, &config, "video_1x1x1", (const int[]){1, 1, 1});
    check_grid(file, &config, "video_2x1x3", (const int[]){2, 1, 3});
    check_grid(file, &config, "video_2x7x9", (const int[]){2, 7, 9});
    check_grid(file, &config, "video_3x5x4", (const int[]){3, 5, 4});
    svr_safetensors_close(file);
}

static void test_3b_angles(void)
{
    check_model("dit_3b_rope_angles", SVR_MODEL_DIT_3B);
}

static void test_7b_angles(void)
{
    check_model("dit_7b_rope_angles", SVR_MODEL_DIT_7B);
}

/* In a cut grid each token has the position inside its own window. */
static void check_local_positions(svr_model_kind kind)
{
    svr_error err = {0};
    svr_dit_config config = svr_dit_config_published(kind);
    svr_arena *arena = svr_arena_create();
    svr_windows windows;
    svr_rope_table table;
    const int grid[3] = {5, 34, 60};
    float frequency[64];

    svr_rope_frequencies(&config, frequency);
    CHECK_OK(svr_windows_make(arena, grid, config.windows, true, &windows, &err), err);
    CHECK_OK(svr_rope_table_make(arena, &config, &windows, TEXT_LEN, &table, &err), err);
    int tokens = 0;
    for (int i = 0; i < windows.count; i++) {
        int index[3] = {i % windows.axis[0].count,
                        i / windows.axis[0].count % windows.axis[1].count,
                        i / (windows.axis[0].count * windows.axis[1].count)};
        for (int n = windows.offsets[i]; n < windows.offsets[i + 1]; n++, tokens++) {
            int token = windows.order[n];
            int at[3] = {token / (34 * 60), token / 60 % 34, token % 60};
            for (int axis = 0; axis < 3; axis++) {
                svr_segment s = windows.axis[axis].segments[index[axis]];
                float position =
                    svr_rope_position(&config, axis, at[axis] - s.begin, s.end - s.begin, TEXT_LEN);
                int row = table.video_rows[token * 3 + axis];
                CHECK(table.angles[row * config.rope_pairs + 1] == position * frequency[1]);
            }
        }
    }
    CHECK(tokens == 5 * 34 * 60);
    svr_arena_destroy(arena);
}

static void test_positions_restart_in_windows(void)
{
    check_local_positions(SVR_MODEL_DIT_3B);
    check_local_positions(SVR_MODEL_DIT_7B);
}

static void test_position_rules(void)
{
    svr_dit_config big = svr_dit_config_published(SVR_MODEL_DIT_7B);
    svr_dit_config small = svr_dit_config_published(SVR_MODEL_DIT_3B);

    /* an axis of one sits at -1, not in the middle */
    CHECK(svr_rope_position(&big, 1, 0, 1, TEXT_LEN) == -1.0f);
    CHECK(svr_rope_position(&big, 2, 2, 3, TEXT_LEN) == 1.0f);
    CHECK(svr_rope_position(&big, 0, 1, 3, TEXT_LEN) == 0.0f);
    /* time starts behind the text */
    CHECK(svr_rope_position(&small, 0, 3, 8, TEXT_LEN) == 61.0f);
    CHECK(svr_rope_position(&small, 1, 3, 8, TEXT_LEN) == 3.0f);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_3b_angles);
    RUN(test_7b_angles);
    RUN(test_positions_restart_in_windows);
    RUN(test_position_rules);
    return check_done();
}
