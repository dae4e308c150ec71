/* Statistics of a convolution's result from those that its kernel made of every row of a warp's
 * tile (conv_hopper.cu): mean and sum of squares around it of four channels by up to 16 pixels,
 * joined in double and in a fixed order. */
#include "conv_hopper.cuh"
#include "moments.cuh"

namespace svr
{

enum { JOIN_CHUNKS = 64, JOIN_THREADS = 256 };

/* What the parts of a frame stand for. */
struct part_shape {
    int h, w; /* of a phase */
    int tiles_h, tiles_w;
    int parts, subs; /* of a frame; groups of four channels */
};

/* Values behind a part. */
__device__ __forceinline__ int part_values(const part_shape &s, int part)
{
    int tile = part / 2, w = tile % s.tiles_w * TILE_W;
    int h = tile / s.tiles_w % s.tiles_h * TILE_H + part % 2 * 2;

    return 4 * max(0, min(2, s.h - h)) * min(TILE_W, s.w - w);
}

/* Block (chunk, frame) of (subs, rest) threads: sums[frame][chunk][sub] = sum and sum of squares.
 */
__global__ void join_parts_kernel(const float2 *parts, double2 *sums, part_shape s)
{
    extern __shared__ double2 shared[]; /* [rest][subs] */
    const float2 *frame = parts + (int64_t) blockIdx.y * s.parts * s.subs;
    int per = (s.parts + JOIN_CHUNKS - 1) / JOIN_CHUNKS, end = min((blockIdx.x + 1) * per, s.parts);
    int sub = threadIdx.x;
    double2 total = make_double2(0.0, 0.0);

    for (int part = blockIdx.x * per + threadIdx.y; part < end; part += blockDim.y) {
        double n = part_values(s, part), mean;

        if (n == 0.0)
            continue;
        float2 p = frame[(int64_t) part * s.subs + sub];

        mean = p.x;
        total.x += n * mean;
        total.y += p.y + n * mean * mean;
    }
    shared[threadIdx.y * s.subs + sub] = total;
    __syncthreads();
    if (threadIdx.y > 0)
        return;
    for (int i = 1; i < (int) blockDim.y; i++) {
        total.x += shared[i * s.subs + sub].x;
        total.y += shared[i * s.subs + sub].y;
    }
    sums[((int64_t) blockIdx.y * JOIN_CHUNKS + blockIdx.x) * s.subs + sub] = total;
}

/* Block (group, frame) of one warp. */
__global__ void join_sums_kernel(const double2 *sums, float *moments, int subs, double values)
{
    int per = subs / gridDim.x, lane = threadIdx.x;
    const double2 *frame = sums + (int64_t) blockIdx.y * JOIN_CHUNKS * subs;
    double sum = 0.0, square = 0.0;

    for (int i = lane; i < JOIN_CHUNKS * per; i += 32) {
        double2 s = frame[(int64_t) (i / per) * subs + blockIdx.x * per + i % per];

        sum += s.x;
        square += s.y;
    }
    write_moments(sum, square, values, moments + (blockIdx.y * gridDim.x + blockIdx.x) * 3);
}

} // namespace svr

using namespace svr;

int svr::conv_parts(const conv_problem *p)
{
    return p->phases / p->tz * p->tiles_h * p->tiles_w * 2;
}

bool svr::conv_makes_moments(const svr_tensor *y, const svr_tensor *moments)
{
    int64_t k = y->dims[3];

    return svr_tensor_present(moments) && k > NARROW_N && k % 8 == 0 && k <= 4 * JOIN_THREADS &&
           k / moments->dims[1] % 4 == 0 && y->dtype != SVR_F32 && aligned16(y->data);
}

/* The parts of all frames, and the sums behind them. */
static size_t part_bytes(const svr_tensor *y, int parts)
{
    return (size_t) (y->dims[0] * parts * (y->dims[3] / 4)) * sizeof(float2);
}

size_t svr::conv_moments_workspace(const svr_tensor *y, int parts)
{
    return (part_bytes(y, parts) + 255) / 256 * 256 +
           (size_t) (y->dims[0] * JOIN_CHUNKS * (y->dims[3] / 4)) * sizeof(double2);
}

svr_status svr::conv_join_moments(svr_exec *exec, const conv_problem *p, const svr_tensor *y,
                                  const svr_tensor *moments, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    int subs = (int) y->dims[3] / 4, rest = JOIN_THREADS / subs > 0 ? JOIN_THREADS / subs : 1;
    part_shape s = {p->h, p->w, p->tiles_h, p->tiles_w, conv_parts(p), subs};
    double2 *sums = (double2 *) ((char *) p->partials + (part_bytes(y, s.parts) + 255) / 256 * 256);
    unsigned frames = (unsigned) y->dims[0], groups = (unsigned) moments->dims[1];
    double values = (double) (y->dims[1] * y->dims[2]) * (double) (y->dims[3] / moments->dims[1]);

    join_parts_kernel<<<dim3(JOIN_CHUNKS, frames), dim3((unsigned) subs, (unsigned) rest),
                        (size_t) (subs * rest) * sizeof(double2), stream>>>(p->partials, sums, s);
    join_sums_kernel<<<dim3(groups, frames), 32, 0, stream>>>(sums, (float *) moments->data, subs,
                                                              values);
    return svr_cuda_launched("moments", err);
}
