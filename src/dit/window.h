/* Window partition of a token grid: pure integer tables.  Source: spec dit §7.
 * Level 4.  Thread: any (pure functions). */
#ifndef SVR_DIT_WINDOW_H
#define SVR_DIT_WINDOW_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Half-open range of one axis. */
typedef struct svr_segment {
    int begin, end;
} svr_segment;

/* Axis t, h or w of a partition. */
typedef struct svr_axis_cut {
    int count;
    svr_segment *segments;
} svr_axis_cut;

/* Windows = product of the three axes, t fastest, then h, w slowest. */
typedef struct svr_windows {
    svr_axis_cut axis[3]; /* t, h, w */
    int count;            /* windows */
    int32_t *order;       /* [t*h*w] token numbers, window by window, raster order inside */
    int32_t *offsets;     /* [count + 1] into order */
} svr_windows;

/* Extent of a window in tokens on the three axes for a t x h x w grid and parameters (4,3,3). */
void svr_window_size(const int grid[3], const int windows[3], int out[3]);

/* Cuts an axis of length n into segments of `size`; shifted by half a window when the axis holds
 * more than one.  Memory from `arena`.  Errors: NO_MEM. */
SVR_CHECKED svr_status svr_window_cut_axis(svr_arena *arena, int n, int size, bool shifted,
                                           svr_axis_cut *out, svr_error *err);

/* The whole partition; memory from `arena`.  Errors: NO_MEM, SHAPE (a grid over 2^31 tokens). */
SVR_CHECKED svr_status svr_windows_make(svr_arena *arena, const int grid[3], const int windows[3],
                                        bool shifted, svr_windows *out, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
