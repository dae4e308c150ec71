/* quantize_runs, dequantize_runs: frames to 8 bits and back, bound by memory.
 *
 * Four lanes of a warp share a run: each takes every fourth pixel, eight channels at a time, which
 * it reads once; eight neighbouring vectors of channels lie side by side in a warp, so that it
 * touches whole lines.  Channels and addresses that no vector fits: one channel at a time.
 * Every operation is the one that the CPU does, so all bits agree. */
#include "quantize.cuh"

#include <float.h>

namespace svr
{

enum { RUN_THREADS = 256, RUN_PARTS = 4, RUN_ITEMS = RUN_THREADS / RUN_PARTS };
enum { RUN_STEPS = SVR_RUN_PIXELS / RUN_PARTS }; /* pixels of a lane */

/* Sizes of frames; `vectors` of V channels each. */
struct run_shape {
    int width, runs, vectors;
};

/* A lane's part of a run: its first value, how far its pixels are apart, and its scales. */
struct run_part {
    int64_t values, middle, step;
    int stride, count; /* count 0: none */
    int part;
};

/* One block takes RUN_ITEMS vectors of runs of row blockIdx.x. */
template <int V> __device__ __forceinline__ run_part part_of(const run_shape &s)
{
    int lane = threadIdx.x % 32, part = lane / (32 / RUN_PARTS);
    int item =
        blockIdx.y * RUN_ITEMS + threadIdx.x / 32 * (32 / RUN_PARTS) + lane % (32 / RUN_PARTS);
    int run = item / s.vectors, vector = item - run * s.vectors;
    int first = run * SVR_RUN_PIXELS, pixels = min(SVR_RUN_PIXELS, s.width - first);
    int64_t channels = (int64_t) s.vectors * V, row = blockIdx.x;
    int64_t scales = (row * s.runs + run) * 2 * channels + (int64_t) vector * V;
    run_part p;

    p.values = (row * s.width + first + part) * channels + (int64_t) vector * V;
    p.middle = scales;
    p.step = scales + channels;
    p.stride = (int) channels * RUN_PARTS;
    p.count = run < s.runs ? (pixels - part + RUN_PARTS - 1) / RUN_PARTS : 0;
    p.part = run < s.runs ? part : RUN_PARTS; /* nobody's */
    return p;
}

template <typename T> __device__ __forceinline__ void load(const T *p, float (&v)[8])
{
    load8(p, v);
}

template <typename T> __device__ __forceinline__ void load(const T *p, float (&v)[1])
{
    v[0] = to_float(*p);
}

template <typename T> __device__ __forceinline__ void store(T *p, const float (&v)[8])
{
    store8(p, v);
}

template <typename T> __device__ __forceinline__ void store(T *p, const float (&v)[1])
{
    *p = from_float<T>(v[0]);
}

__device__ __forceinline__ void load(const __nv_fp8_e4m3 *p, float (&v)[8])
{
    uint2 raw = *reinterpret_cast<const uint2 *>(p);
    const __nv_fp8x2_storage_t *pairs = reinterpret_cast<const __nv_fp8x2_storage_t *>(&raw);

#pragma unroll
    for (int k = 0; k < 4; k++) {
        float2 pair = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(pairs[k], __NV_E4M3)));

        v[2 * k] = pair.x;
        v[2 * k + 1] = pair.y;
    }
}

__device__ __forceinline__ void load(const __nv_fp8_e4m3 *p, float (&v)[1])
{
    v[0] = (float) *p;
}

__device__ __forceinline__ void load(const int8_t *p, float (&v)[8])
{
    uint2 raw = *reinterpret_cast<const uint2 *>(p);
    const int8_t *bytes = reinterpret_cast<const int8_t *>(&raw);

#pragma unroll
    for (int k = 0; k < 8; k++)
        v[k] = (float) bytes[k];
}

__device__ __forceinline__ void load(const int8_t *p, float (&v)[1])
{
    v[0] = (float) *p;
}

/* Values as they are, in 8 bits. */
template <typename Q> __device__ __forceinline__ void store_bytes(Q *p, const float (&v)[8])
{
    store8_scaled(p, v, 1.0f);
}

template <typename Q> __device__ __forceinline__ void store_bytes(Q *p, const float (&v)[1])
{
    store1_scaled(p, v[0], 1.0f);
}

/* NaN where one of both is. */
__device__ __forceinline__ float nan_min(float a, float b)
{
    float r;

    asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}

__device__ __forceinline__ float nan_max(float a, float b)
{
    float r;

    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}

/* A number of the type that is not less. */
template <typename X> __device__ __forceinline__ float round_up(float v);
template <> __device__ __forceinline__ float round_up<float>(float v)
{
    return v;
}
template <> __device__ __forceinline__ float round_up<__half>(float v)
{
    return to_float(__float2half_ru(v));
}
template <> __device__ __forceinline__ float round_up<__nv_bfloat16>(float v)
{
    return to_float(__float2bfloat16_ru(v));
}

/* Middle and step of a channel from its range, in their places; returns the factor. */
template <typename X, typename Q>
__device__ __forceinline__ float scale_of(float &least, float &largest)
{
    bool bad = !(largest - least <= FLT_MAX);
    float middle =
        to_float(from_float<X>(__fadd_rn(__fmul_rn(0.5f, least), __fmul_rn(0.5f, largest))));
    float step = round_up<X>(fmaxf(largest - middle, middle - least) / largest_of<Q>);

    if (step < SVR_RUN_LEAST_STEP)
        step = 0.0f;
    least = bad ? __int_as_float(0x7fffffff) : middle;
    largest = bad ? __int_as_float(0x7fffffff) : step;
    return bad || step == 0.0f ? 0.0f : 1.0f / step;
}

/* The lane's pixels of frames x. */
template <int V, typename X>
__device__ __forceinline__ void load_run(const X *x, const run_part &p, float (&v)[RUN_STEPS][V])
{
#pragma unroll
    for (int i = 0; i < RUN_STEPS; i++)
        if (i < p.count)
            load(x + p.values + (int64_t) i * p.stride, v[i]);
}

template <int V, typename X, typename Q>
__global__ void __launch_bounds__(RUN_THREADS)
    quantize_runs_kernel(const X *x, Q *y, X *scales, run_shape s)
{
    run_part p = part_of<V>(s);
    float v[RUN_STEPS][V], least[V], largest[V], factor[V];

#pragma unroll
    for (int k = 0; k < V; k++) {
        least[k] = INFINITY;
        largest[k] = -INFINITY;
    }
    load_run(x, p, v);
#pragma unroll
    for (int i = 0; i < RUN_STEPS; i++)
#pragma unroll
        for (int k = 0; k < V; k++)
            if (i < p.count) {
                least[k] = nan_min(least[k], v[i][k]);
                largest[k] = nan_max(largest[k], v[i][k]);
            }
#pragma unroll
    for (int k = 0; k < V; k++) {
#pragma unroll
        for (int offset = 32 / RUN_PARTS; offset < 32; offset *= 2) {
            least[k] = nan_min(least[k], __shfl_xor_sync(0xffffffffu, least[k], offset));
            largest[k] = nan_max(largest[k], __shfl_xor_sync(0xffffffffu, largest[k], offset));
        }
        factor[k] = scale_of<X, Q>(least[k], largest[k]);
    }
    if (p.part == 0)
        store(scales + p.middle, least);
    if (p.part == 1)
        store(scales + p.step, largest);
#pragma unroll
    for (int i = 0; i < RUN_STEPS; i++)
        if (i < p.count) {
#pragma unroll
            for (int k = 0; k < V; k++)
                v[i][k] = factor[k] == 0.0f ? 0.0f : (v[i][k] - least[k]) * factor[k];
            store_bytes(y + p.values + (int64_t) i * p.stride, v[i]);
        }
}

template <int V, typename Y, typename Q>
__global__ void __launch_bounds__(RUN_THREADS)
    dequantize_runs_kernel(const Q *x, const Y *scales, Y *y, run_shape s)
{
    run_part p = part_of<V>(s);
    float v[RUN_STEPS][V], middle[V], step[V];

    if (p.count <= 0)
        return;
    load(scales + p.middle, middle);
    load(scales + p.step, step);
    load_run(x, p, v);
#pragma unroll
    for (int i = 0; i < RUN_STEPS; i++)
        if (i < p.count) {
#pragma unroll
            for (int k = 0; k < V; k++)
                v[i][k] = __fadd_rn(middle[k], __fmul_rn(step[k], v[i][k]));
            store(y + p.values + (int64_t) i * p.stride, v[i]);
        }
}

} // namespace svr

using namespace svr;

/* Frames, their 8-bit form and the scales, the same for both ways. */
struct run_tensors {
    const svr_tensor *values, *bytes, *scales;
};

static dim3 grid_of(const run_tensors &t, const run_shape &s)
{
    return dim3((unsigned) t.values->dims[0],
                ((unsigned) s.runs * (unsigned) s.vectors + RUN_ITEMS - 1) / RUN_ITEMS);
}

template <int V, typename X, typename Q>
static void launch(const run_tensors &t, bool back, cudaStream_t stream)
{
    const int64_t *d = t.values->dims;
    run_shape s = {(int) d[1], (int) t.scales->dims[1], (int) (d[2] / V)};
    dim3 grid = grid_of(t, s);
    X *x = (X *) t.values->data, *scales = (X *) t.scales->data;
    Q *bytes = (Q *) t.bytes->data;

    if (back)
        dequantize_runs_kernel<V, X, Q><<<grid, RUN_THREADS, 0, stream>>>(bytes, scales, x, s);
    else
        quantize_runs_kernel<V, X, Q><<<grid, RUN_THREADS, 0, stream>>>(x, bytes, scales, s);
}

template <typename X, typename Q>
static void choose(const run_tensors &t, bool back, cudaStream_t stream)
{
    if (t.values->dims[2] % 8 == 0 && aligned16(t.values->data, t.bytes->data, t.scales->data))
        launch<8, X, Q>(t, back, stream);
    else
        launch<1, X, Q>(t, back, stream);
}

static void run(const run_tensors &t, bool back, cudaStream_t stream)
{
    if (t.bytes->dtype == SVR_I8)
        SVR_STORAGE_SWITCH(t.values->dtype, X, (choose<X, int8_t>(t, back, stream)))
    else
        SVR_STORAGE_SWITCH(t.values->dtype, X, (choose<X, __nv_fp8_e4m3>(t, back, stream)))
}

svr_status svr_cuda_quantize_runs(svr_exec *exec, const svr_quantize_runs_args *args,
                                  void *workspace, svr_error *err)
{
    (void) workspace;
    run({&args->x, &args->y, &args->scales}, false, svr_cuda_of(exec)->stream);
    return svr_cuda_launched("quantize_runs", err);
}

svr_status svr_cuda_dequantize_runs(svr_exec *exec, const svr_dequantize_runs_args *args,
                                    void *workspace, svr_error *err)
{
    (void) workspace;
    run({&args->y, &args->x, &args->scales}, true, svr_cuda_of(exec)->stream);
    return svr_cuda_launched("dequantize_runs", err);
}
