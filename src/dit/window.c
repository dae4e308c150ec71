#include "dit/window.h"

#include "base/checked.h"

#include <assert.h>
#include <math.h>

/* Tokens of the 720p frame (45 x 80) to which every grid is scaled before it is cut. */
static const double reference_tokens = 3600.0;

/* Frames after which a longer video no longer gives longer windows. */
enum { MAX_WINDOWED_FRAMES = 30 };

void svr_window_size(const int grid[3], const int windows[3], int out[3])
{
    double scale = sqrt(reference_tokens / ((double) grid[1] * grid[2]));
    int64_t frames = svr_min_i64(grid[0], MAX_WINDOWED_FRAMES);

    out[0] = (int) svr_ceil_div(frames, windows[0]);
    for (int axis = 1; axis < 3; axis++) {
        /* rint: half to even, which C's round() is not */
        int64_t side = (int64_t) rint(grid[axis] * scale);
        out[axis] = (int) svr_max_i64(svr_ceil_div(side, windows[axis]), 1);
    }
}

/* Segment `j` of an axis; may be empty when the axis is shifted. */
static svr_segment axis_segment(int64_t n, int64_t size, bool shifted, int64_t j)
{
    int64_t begin = shifted ? svr_max_i64((2 * j - 1) * size / 2, 0) : j * size;
    int64_t end = shifted ? (2 * j + 1) * size / 2 : (j + 1) * size;

    return (svr_segment){(int) svr_min_i64(begin, n), (int) svr_min_i64(end, n)};
}

svr_status svr_window_cut_axis(svr_arena *arena, int n, int size, bool shifted, svr_axis_cut *out,
                               svr_error *err)
{
    assert(n > 0 && size > 0);
    bool moved = shifted && size < n;
    int64_t candidates =
        moved ? svr_ceil_div(2 * (int64_t) n - 1, 2 * (int64_t) size) + 1 : svr_ceil_div(n, size);

    *out = (svr_axis_cut){0};
    out->segments = svr_arena_alloc(arena, (size_t) candidates, sizeof(svr_segment));
    if (!out->segments)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the windows of %d tokens", n);
    for (int64_t j = 0; j < candidates; j++) {
        svr_segment segment = axis_segment(n, size, moved, j);
        if (segment.end > segment.begin)
            out->segments[out->count++] = segment;
    }
    return SVR_OK;
}

/* Appends the tokens of one window in raster order; returns the position behind them. */
static int32_t list_tokens(const int grid[3], const svr_segment box[3], int32_t *order,
                           int32_t position)
{
    for (int t = box[0].begin; t < box[0].end; t++) {
        for (int h = box[1].begin; h < box[1].end; h++) {
            for (int w = box[2].begin; w < box[2].end; w++)
                order[position++] = (t * grid[1] + h) * grid[2] + w;
        }
    }
    return position;
}

static void list_windows(const int grid[3], svr_windows *windows)
{
    const svr_axis_cut *axis = windows->axis;
    int32_t position = 0;
    int window = 0;

    for (int w = 0; w < axis[2].count; w++) {
        for (int h = 0; h < axis[1].count; h++) {
            for (int t = 0; t < axis[0].count; t++) {
                svr_segment box[3] = {axis[0].segments[t], axis[1].segments[h],
                                      axis[2].segments[w]};
                position = list_tokens(grid, box, windows->order, position);
                windows->offsets[++window] = position;
            }
        }
    }
}

svr_status svr_windows_make(svr_arena *arena, const int grid[3], const int windows[3], bool shifted,
                            svr_windows *out, svr_error *err)
{
    size_t tokens = 0;
    int size[3];

    assert(grid[0] > 0 && grid[1] > 0 && grid[2] > 0);
    if (!svr_mul_size((size_t) grid[0], (size_t) grid[1], &tokens) ||
        !svr_mul_size(tokens, (size_t) grid[2], &tokens) || tokens > INT32_MAX)
        return SVR_FAIL(err, SVR_ERR_SHAPE,
                        "a grid of %d x %d x %d tokens is too large for 32-bit token numbers; "
                        "use fewer frames per batch or a smaller picture",
                        grid[0], grid[1], grid[2]);
    svr_window_size(grid, windows, size);
    *out = (svr_windows){0};
    for (int axis = 0; axis < 3; axis++)
        SVR_TRY(svr_window_cut_axis(arena, grid[axis], size[axis], shifted, &out->axis[axis], err));
    /* no more windows than tokens, so the product fits too */
    out->count = out->axis[0].count * out->axis[1].count * out->axis[2].count;
    out->order = svr_arena_alloc(arena, tokens, sizeof(int32_t));
    out->offsets = svr_arena_alloc(arena, (size_t) out->count + 1, sizeof(int32_t));
    if (!out->order || !out->offsets)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the windows of %zu tokens", tokens);
    list_windows(grid, out);
    return SVR_OK;
}
