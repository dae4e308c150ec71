#include "cpu/cpu_pack.h"

#include "base/checked.h"

int64_t svr_cpu_blocks(int64_t outputs)
{
    return svr_ceil_div(outputs, SVR_CPU_LANES);
}

int svr_cpu_block_lanes(int64_t outputs, int64_t block)
{
    return outputs - block * SVR_CPU_LANES > 16 ? 32 : 16;
}

int64_t svr_cpu_padded(int64_t outputs)
{
    return svr_ceil_div(outputs, 16) * 16;
}

size_t svr_cpu_packed_floats(int64_t outputs, int64_t inner)
{
    return (size_t) (svr_cpu_padded(outputs) * inner);
}

/* Eight values of each output at a time keep the reads within their cache lines. */
void svr_cpu_pack_block(const float *w, int64_t stride, int64_t outputs, int64_t block,
                        int64_t inner, float *packed)
{
    int lanes = svr_cpu_block_lanes(outputs, block);
    int64_t first = block * SVR_CPU_LANES;
    int used = (int) svr_min_i64(lanes, outputs - first);

    for (int64_t from = 0; from < inner; from += 8) {
        int64_t to = svr_min_i64(from + 8, inner);

        for (int lane = 0; lane < used; lane++) {
            const float *row = w + (first + lane) * stride;

            for (int64_t i = from; i < to; i++)
                packed[i * lanes + lane] = row[i];
        }
        for (int lane = used; lane < lanes; lane++) {
            for (int64_t i = from; i < to; i++)
                packed[i * lanes + lane] = 0;
        }
    }
}
