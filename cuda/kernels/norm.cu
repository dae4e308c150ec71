/* group_norm and group_moments, bound by memory.
 *
 * group_norm reads its input twice and writes once: partial sums per chunk of a frame's pixels, a
 * reduction in fixed order, then the normalisation with its activation.  Sums are taken around the
 * group's first value, because channels may sit on large constants.  A frame is cut into some
 * hundreds of chunks whatever its size, so that small frames fill the device too.  Measured on an
 * H200: 4 frames of 1280x720 x 128 channels in 0.86 ms, 3.3 TB/s over its three passes. */
#include "cuda_conv.h"
#include "moments.cuh"

namespace svr
{

enum { NORM_THREADS = 256, NORM_WARPS = NORM_THREADS / 32, MOST_CHUNKS = 512, LEAST_PIXELS = 32 };

struct norm_shape {
    int64_t pixels; /* of a frame */
    int channels, groups;
    int chunks, chunk_pixels; /* pieces of a frame, one block each */
    float eps;
    int activation;
};

/* V neighbouring channels that a thread owns, and every lanes-th pixel of its block's chunk. */
struct norm_place {
    int channel, lane, lanes;
    int64_t first, end; /* pixels of the frame */
};

template <int V> __device__ __forceinline__ norm_place norm_place_of(const norm_shape &s)
{
    int vectors = s.channels / V;
    norm_place p;

    p.channel = threadIdx.x % vectors * V;
    p.lane = threadIdx.x / vectors;
    p.lanes = NORM_THREADS / vectors;
    p.first = (int64_t) blockIdx.x * s.chunk_pixels + p.lane;
    p.end = min(((int64_t) blockIdx.x + 1) * s.chunk_pixels, s.pixels);
    return p;
}

template <int V, typename T> __device__ __forceinline__ void load(const T *p, float (&v)[V])
{
    if constexpr (V == 8)
        load8(p, v);
    else
        v[0] = to_float(*p);
}

/* Block (chunk, frame).  partial[frame][group][chunk] = sum and sum of squares of x - first value
 * of the group. */
template <int V, typename T>
__global__ void __launch_bounds__(NORM_THREADS)
    group_sums_kernel(const T *x, float2 *partial, norm_shape s)
{
    extern __shared__ float2 shared[]; /* [lanes][channels] */
    norm_place p = norm_place_of<V>(s);
    const T *frame = x + (int64_t) blockIdx.y * s.pixels * s.channels;
    int per_group = s.channels / s.groups, entries = p.lanes * per_group;
    float shift[V], sum[V], square[V];

    for (int i = 0; i < V; i++) {
        sum[i] = square[i] = 0.0f;
        shift[i] = to_float(frame[(p.channel + i) / per_group * per_group]);
    }
    if (p.lane < p.lanes) {
#pragma unroll 4
        for (int64_t at = p.first; at < p.end; at += p.lanes) {
            float v[V];

            load<V>(frame + at * s.channels + p.channel, v);
            for (int i = 0; i < V; i++) {
                float d = v[i] - shift[i];

                sum[i] += d;
                square[i] += d * d;
            }
        }
        for (int i = 0; i < V; i++)
            shared[p.lane * s.channels + p.channel + i] = make_float2(sum[i], square[i]);
    }
    __syncthreads();
    for (int g = threadIdx.x / 32; g < s.groups; g += NORM_WARPS) {
        float2 total = make_float2(0.0f, 0.0f);

        for (int e = threadIdx.x % 32; e < entries; e += 32) {
            float2 part = shared[e / per_group * s.channels + g * per_group + e % per_group];

            total.x += part.x;
            total.y += part.y;
        }
        total.x = warp_sum(total.x);
        total.y = warp_sum(total.y);
        if (threadIdx.x % 32 == 0)
            partial[((int64_t) blockIdx.y * s.groups + g) * s.chunks + blockIdx.x] = total;
    }
}

/* Block (group, frame) of one warp: moments from the partial sums, in double. */
template <typename T>
__global__ void group_moments_kernel(const T *x, const float2 *partial, float *moments,
                                     norm_shape s)
{
    int g = blockIdx.x, per_group = s.channels / s.groups;
    const float2 *parts = partial + ((int64_t) blockIdx.y * s.groups + g) * s.chunks;
    double sum = 0.0, square = 0.0;

#pragma unroll 4
    for (int c = threadIdx.x; c < s.chunks; c += 32) {
        float2 p = parts[c];

        sum += p.x;
        square += p.y;
    }
    write_moments(sum, square, (double) s.pixels * per_group,
                  moments + (blockIdx.y * s.groups + g) * 3,
                  to_float(x[(int64_t) blockIdx.y * s.pixels * s.channels + g * per_group]));
}

/* The activation as precisely as T can hold it. */
template <typename T> __device__ __forceinline__ float activate_for(float x, int activation)
{
    if (sizeof(T) == 2 && activation == SVR_ACT_SILU)
        return x * __fdividef(1.0f, 1.0f + __expf(-x));
    return activate(x, activation);
}

/* Block (chunk, frame); the coefficients of a thread's channels stay in registers. */
template <int V, typename T>
__global__ void __launch_bounds__(NORM_THREADS)
    group_apply_kernel(const T *x, T *y, const float *moments, const float *gamma,
                       const float *beta, norm_shape s)
{
    norm_place p = norm_place_of<V>(s);
    int64_t frame = (int64_t) blockIdx.y * s.pixels * s.channels;
    float shift[V], scale[V], offset[V];

    if (p.lane >= p.lanes)
        return;
    for (int i = 0; i < V; i++) {
        int c = p.channel + i;
        const float *m = moments + (blockIdx.y * s.groups + c / (s.channels / s.groups)) * 3;

        shift[i] = m[0];
        scale[i] = gamma[c] / sqrtf(m[2] + s.eps);
        offset[i] = beta[c] - m[1] * scale[i];
    }
#pragma unroll 2
    for (int64_t at = p.first; at < p.end; at += p.lanes) {
        int64_t i = frame + at * s.channels + p.channel;
        float v[V];

        load<V>(x + i, v);
        for (int k = 0; k < V; k++)
            v[k] = activate_for<T>((v[k] - shift[k]) * scale[k] + offset[k], s.activation);
        if constexpr (V == 8)
            store8(y + i, v);
        else
            y[i] = from_float<T>(v[0]);
    }
}

} // namespace svr

using namespace svr;

static norm_shape shape_of(const svr_tensor *x, int groups)
{
    norm_shape s = {};
    int64_t least;

    s.pixels = x->dims[1] * x->dims[2];
    s.channels = (int) x->dims[3];
    s.groups = groups;
    least = (s.pixels + MOST_CHUNKS - 1) / MOST_CHUNKS;
    s.chunk_pixels = (int) (least < LEAST_PIXELS ? LEAST_PIXELS : least);
    s.chunks = (int) ((s.pixels + s.chunk_pixels - 1) / s.chunk_pixels);
    return s;
}

/* Whether a thread can take eight channels at a time. */
static bool is_wide(const svr_tensor *x, const void *y)
{
    int channels = (int) x->dims[3];

    return channels % 8 == 0 && channels / 8 <= NORM_THREADS && aligned16(x->data, y);
}

static svr_status check_channels(const svr_tensor *x, bool wide, svr_error *err)
{
    if (wide || x->dims[3] <= NORM_THREADS)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                    "group_norm: %lld channels, over %d only multiples of 8",
                    (long long) x->dims[3], (int) NORM_THREADS);
}

size_t svr_cuda_moments_workspace(const svr_tensor *x, int groups)
{
    norm_shape s = shape_of(x, groups);

    return (size_t) x->dims[0] * (size_t) s.groups * (size_t) s.chunks * sizeof(float2);
}

template <int V, typename T>
static void launch_moments(const svr_tensor *tensor, const svr_tensor *moments, float2 *partial,
                           cudaStream_t stream)
{
    norm_shape s = shape_of(tensor, (int) moments->dims[1]);
    unsigned frames = (unsigned) tensor->dims[0];
    size_t lanes = NORM_THREADS / (size_t) (s.channels / V);
    const T *x = (const T *) tensor->data;

    group_sums_kernel<V, T><<<dim3((unsigned) s.chunks, frames), NORM_THREADS,
                              lanes *(size_t) s.channels * sizeof(float2), stream>>>(x, partial, s);
    group_moments_kernel<T><<<dim3((unsigned) s.groups, frames), 32, 0, stream>>>(
        x, partial, (float *) moments->data, s);
}

svr_status svr_cuda_moments(svr_exec *exec, const svr_tensor *x, const svr_tensor *moments,
                            void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    bool wide = is_wide(x, NULL);

    SVR_TRY(check_channels(x, wide, err));
    SVR_STORAGE_SWITCH(x->dtype, T,
                       if (wide) launch_moments<8, T>(x, moments, (float2 *) workspace, stream);
                       else launch_moments<1, T>(x, moments, (float2 *) workspace, stream));
    return svr_cuda_launched("moments", err);
}

static size_t moment_bytes(const svr_group_norm_args *args)
{
    return ((size_t) args->x.dims[0] * (size_t) args->groups * 3 * sizeof(float) + 255) / 256 * 256;
}

size_t svr_cuda_group_norm_workspace(svr_backend *backend, const svr_group_norm_args *args)
{
    (void) backend;
    if (svr_tensor_present(&args->moments))
        return 0;
    return moment_bytes(args) + svr_cuda_moments_workspace(&args->x, args->groups);
}

size_t svr_cuda_group_moments_workspace(svr_backend *backend, const svr_group_moments_args *args)
{
    (void) backend;
    return svr_cuda_moments_workspace(&args->x, (int) args->moments.dims[1]);
}

svr_status svr_cuda_group_moments(svr_exec *exec, const svr_group_moments_args *args,
                                  void *workspace, svr_error *err)
{
    return svr_cuda_moments(exec, &args->x, &args->moments, workspace, err);
}

template <int V, typename T>
static void launch_apply(const svr_group_norm_args *args, const svr_tensor *moments,
                         cudaStream_t stream)
{
    norm_shape s = shape_of(&args->x, args->groups);

    s.eps = args->eps;
    s.activation = (int) args->activation;
    group_apply_kernel<V, T>
        <<<dim3((unsigned) s.chunks, (unsigned) args->x.dims[0]), NORM_THREADS, 0, stream>>>(
            (const T *) args->x.data, (T *) args->y.data, (const float *) moments->data,
            (const float *) args->gamma.data, (const float *) args->beta.data, s);
}

svr_status svr_cuda_group_norm(svr_exec *exec, const svr_group_norm_args *args, void *workspace,
                               svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    bool wide = is_wide(&args->x, args->y.data);
    svr_tensor moments = args->moments;

    SVR_TRY(check_channels(&args->x, wide, err));
    if (!svr_tensor_present(&moments)) {
        moments = svr_tensor_3d(workspace, SVR_F32, args->x.dims[0], args->groups, 3);
        SVR_TRY(svr_cuda_moments(exec, &args->x, &moments, (char *) workspace + moment_bytes(args),
                                 err));
    }
    SVR_STORAGE_SWITCH(args->x.dtype, T, if (wide) launch_apply<8, T>(args, &moments, stream);
                       else launch_apply<1, T>(args, &moments, stream));
    return svr_cuda_launched("group_norm", err);
}
