/* CPUs multiply integers of 16 bits and add neighbours in one step, so rows are widened first. */
#include "cpu/cpu_integers.h"

#include "base/checked.h"

/* Rows of w that stay in the first caches while rows of x pass by. */
enum { NEAR_ROWS = 16 };

size_t svr_cpu_integer_room(int64_t x_rows, int64_t depth)
{
    return (size_t) ((x_rows + NEAR_ROWS) * depth);
}

static void widen(const int8_t *src, int16_t *dst, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = (int16_t) src[i];
}

void svr_cpu_integer_product(const svr_cpu_simd *simd, const svr_linear_args *args, int16_t *room,
                             float *out)
{
    const float *x_scale = args->x_scale.data, *w_scale = args->w_scale.data;
    int64_t M = args->x.dims[0], N = args->w.dims[0], K = args->x.dims[1];
    const int8_t *w = args->w.data;
    int16_t *near_w = room + M * K;
    int32_t sums[NEAR_ROWS];

    widen(args->x.data, room, M * K);
    for (int64_t first = 0; first < N; first += NEAR_ROWS) {
        int64_t count = svr_min_i64(NEAR_ROWS, N - first);

        widen(w + first * K, near_w, count * K);
        for (int64_t m = 0; m < M; m++) {
            simd->integer_sums(room + m * K, near_w, (size_t) K, (size_t) count, sums);
            for (int64_t n = 0; n < count; n++)
                out[m * N + first + n] = (float) sums[n] * (x_scale[m] * w_scale[first + n]);
        }
    }
}
