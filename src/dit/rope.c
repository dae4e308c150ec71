#include "dit/rope.h"

#include <assert.h>
#include <math.h>

static const float rope_theta = 10000.0f;
static const double pi = 3.14159265358979323846;

/* Highest frequency of the 7B's grid, in units of pi. */
static const float pixel_max_frequency = 128.0f;

/* Element i of n equal steps from `first` to `last` with the rounding of torch.linspace: F32 step,
 * one rounding of the element, counted from the nearer end.  (The middle of -1..1 is then not quite
 * 0.) */
static float linspace(float first, float last, int n, int i)
{
    if (n == 1)
        return first;
    float step = (last - first) / (float) (n - 1);
    return i < n / 2 ? fmaf(step, (float) i, first) : fmaf(-step, (float) (n - 1 - i), last);
}

void svr_rope_frequencies(const svr_dit_config *config, float *out)
{
    for (int i = 0; i < config->rope_pairs; i++) {
        if (config->kind == SVR_MODEL_DIT_7B) {
            out[i] = linspace(1.0f, pixel_max_frequency, config->rope_pairs, i) * (float) pi;
        } else {
            float exponent = (float) (2 * i) / (float) config->rope_axis_dim;
            out[i] = 1.0f / (float) pow((double) rope_theta, (double) exponent);
        }
    }
}

float svr_rope_position(const svr_dit_config *config, int axis, int index, int size, int text_len)
{
    if (config->kind == SVR_MODEL_DIT_7B)
        return linspace(-1.0f, 1.0f, size, index);
    return (float) (axis == 0 ? text_len + index : index);
}

/* Where the rows of the positions of each axis begin: first_row[axis][size] for segments of `size`.
 */
typedef struct row_map {
    int *first_row[3];
    int rows;
} row_map;

static int longest_segment(const svr_axis_cut *cut)
{
    int longest = 0;

    for (int i = 0; i < cut->count; i++) {
        int size = cut->segments[i].end - cut->segments[i].begin;
        longest = size > longest ? size : longest;
    }
    return longest;
}

/* 3B: row r is position r, shared by text and video. */
static void map_integer_positions(const svr_windows *windows, int text_len, row_map *map)
{
    map->rows = text_len;
    for (int axis = 0; axis < 3; axis++) {
        int longest = longest_segment(&windows->axis[axis]);
        int first = axis == 0 ? text_len : 0;

        for (int size = 0; size <= longest; size++)
            map->first_row[axis][size] = first;
        map->rows = first + longest > map->rows ? first + longest : map->rows;
    }
}

/* 7B: positions depend on the size of the segment, so each size that occurs has rows of its own. */
static void map_pixel_positions(const svr_windows *windows, row_map *map)
{
    for (int axis = 0; axis < 3; axis++) {
        const svr_axis_cut *cut = &windows->axis[axis];
        int *first_row = map->first_row[axis];

        for (int size = 0; size <= longest_segment(cut); size++)
            first_row[size] = -1;
        for (int i = 0; i < cut->count; i++) {
            int size = cut->segments[i].end - cut->segments[i].begin;
            if (first_row[size] >= 0)
                continue;
            first_row[size] = map->rows;
            map->rows += size;
        }
    }
}

static svr_status map_rows(svr_arena *arena, const svr_dit_config *config,
                           const svr_windows *windows, int text_len, row_map *map, svr_error *err)
{
    *map = (row_map){0};
    for (int axis = 0; axis < 3; axis++) {
        size_t sizes = (size_t) longest_segment(&windows->axis[axis]) + 1;
        map->first_row[axis] = svr_arena_alloc(arena, sizes, sizeof(int));
        if (!map->first_row[axis])
            return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for rotary tables");
    }
    if (config->kind == SVR_MODEL_DIT_7B)
        map_pixel_positions(windows, map);
    else
        map_integer_positions(windows, text_len, map);
    return SVR_OK;
}

/* The angles of `row`, given what position it stands for. */
static void set_row(const svr_rope_table *table, const float *frequencies, int pairs, int row,
                    float position)
{
    for (int i = 0; i < pairs; i++)
        table->angles[(size_t) row * (size_t) pairs + (size_t) i] = position * frequencies[i];
}

static void fill_angles(const svr_dit_config *config, const svr_windows *windows,
                        const row_map *map, int text_len, const float *frequencies,
                        const svr_rope_table *table)
{
    int pairs = config->rope_pairs;

    for (int axis = 0; axis < 3; axis++) {
        const svr_axis_cut *cut = &windows->axis[axis];
        for (int s = 0; s < cut->count; s++) {
            int size = cut->segments[s].end - cut->segments[s].begin;
            for (int i = 0; i < size; i++)
                set_row(table, frequencies, pairs, map->first_row[axis][size] + i,
                        svr_rope_position(config, axis, i, size, text_len));
        }
    }
    for (int i = 0; table->text_rows && i < text_len; i++)
        set_row(table, frequencies, pairs, i, (float) i);
}

/* Row of the table for each coordinate of an axis. */
static int32_t *coordinate_rows(svr_arena *arena, const svr_axis_cut *cut, const int *first_row,
                                int n)
{
    int32_t *rows = svr_arena_alloc(arena, (size_t) n, sizeof(int32_t));

    for (int s = 0; rows && s < cut->count; s++) {
        svr_segment segment = cut->segments[s];
        for (int i = segment.begin; i < segment.end; i++)
            rows[i] = first_row[segment.end - segment.begin] + i - segment.begin;
    }
    return rows;
}

static svr_status fill_video_rows(svr_arena *arena, const int grid[3], const svr_windows *windows,
                                  const row_map *map, int32_t *out, svr_error *err)
{
    int32_t *rows[3];

    for (int axis = 0; axis < 3; axis++) {
        rows[axis] = coordinate_rows(arena, &windows->axis[axis], map->first_row[axis], grid[axis]);
        if (!rows[axis])
            return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for rotary tables");
    }
    for (int t = 0; t < grid[0]; t++) {
        for (int h = 0; h < grid[1]; h++) {
            for (int w = 0; w < grid[2]; w++) {
                *out++ = rows[0][t];
                *out++ = rows[1][h];
                *out++ = rows[2][w];
            }
        }
    }
    return SVR_OK;
}

static svr_status alloc_table(svr_arena *arena, const svr_dit_config *config, const int grid[3],
                              int text_len, svr_rope_table *table, svr_error *err)
{
    size_t tokens = (size_t) grid[0] * (size_t) grid[1] * (size_t) grid[2];
    size_t row_bytes = (size_t) config->rope_pairs * sizeof(float);

    table->angles = svr_arena_alloc(arena, (size_t) table->rows, row_bytes);
    table->video_rows = svr_arena_alloc(arena, tokens, 3 * sizeof(int32_t));
    if (!table->angles || !table->video_rows)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for rotary tables of %zu tokens", tokens);
    if (config->kind == SVR_MODEL_DIT_7B)
        return SVR_OK; /* its text is not rotated */
    table->text_rows = svr_arena_alloc(arena, (size_t) text_len, 3 * sizeof(int32_t));
    if (!table->text_rows)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for rotary tables of the text");
    for (int i = 0; i < 3 * text_len; i++)
        table->text_rows[i] = i / 3;
    return SVR_OK;
}

/* Length of an axis: its segments cover it. */
static int axis_length(const svr_axis_cut *cut)
{
    return cut->segments[cut->count - 1].end;
}

svr_status svr_rope_table_make(svr_arena *arena, const svr_dit_config *config,
                               const svr_windows *windows, int text_len, svr_rope_table *out,
                               svr_error *err)
{
    const int grid[3] = {axis_length(&windows->axis[0]), axis_length(&windows->axis[1]),
                         axis_length(&windows->axis[2])};
    row_map map;
    float *frequencies = svr_arena_alloc(arena, (size_t) config->rope_pairs, sizeof(*frequencies));

    assert(text_len > 0);
    if (!frequencies)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for rotary tables");
    svr_rope_frequencies(config, frequencies);
    SVR_TRY(map_rows(arena, config, windows, text_len, &map, err));
    *out = (svr_rope_table){.rows = map.rows};
    SVR_TRY(alloc_table(arena, config, grid, text_len, out, err));
    fill_angles(config, windows, &map, text_len, frequencies, out);
    return fill_video_rows(arena, grid, windows, &map, out->video_rows, err);
}
