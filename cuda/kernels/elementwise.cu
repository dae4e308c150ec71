/* copy, lincomb, find_overflow: one thread takes every n-th element.  guidance, noise: one thread
 * takes a row, or four channels.  All are bound by memory except noise (Philox and Box-Muller in
 * double, once per batch). */
#include "common.cuh"

namespace svr
{

/* dst[i] = src[i], types converted. */
template <typename S, typename D> __global__ void convert_kernel(const S *src, D *dst, int64_t n)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        dst[i] = from_float<D>(to_float(src[i]));
}

struct lincomb_range {
    float alpha, beta, lo, hi;
    bool clamp;
};

/* y[i] = clamp(alpha a[i] + beta b[i]). */
template <typename A, typename B, typename Y>
__global__ void lincomb_kernel(const A *a, const B *b, Y *y, int64_t n, lincomb_range r)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float v = r.alpha * to_float(a[i]);

        if (b)
            v += r.beta * to_float(b[i]);
        if (r.clamp)
            v = fminf(fmaxf(v, r.lo), r.hi);
        y[i] = from_float<Y>(v);
    }
}

/* found = 1 when an element of x is not finite; all that write, write the same. */
template <typename T> __global__ void find_overflow_kernel(const T *x, int64_t n, int32_t *found)
{
    int64_t step = (int64_t) gridDim.x * blockDim.x;
    bool bad = false;

    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        bad |= !isfinite(to_float(x[i]));
    if (bad)
        *found = 1;
}

/* Unbiased standard deviation of C values. */
__device__ float row_std(const float *v, int c)
{
    float mean = 0.0f, square = 0.0f;

    for (int i = 0; i < c; i++)
        mean += v[i];
    mean /= (float) c;
    for (int i = 0; i < c; i++)
        square += (v[i] - mean) * (v[i] - mean);
    return sqrtf(square / (float) (c - 1));
}

enum { MAX_GUIDED_CHANNELS = 64 };

/* One thread a row: pos = neg + scale (pos - neg), rescaled to the spread of pos; x += step pos
 * unless x is NULL. */
template <typename T, typename N, typename X>
__global__ void guidance_kernel(T *pos, const N *neg, X *x, int64_t rows, int c, float scale,
                                float rescale, float step)
{
    int64_t row = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    float p[MAX_GUIDED_CHANNELS], factor = 1.0f, before;

    if (row >= rows)
        return;
    for (int i = 0; i < c; i++)
        p[i] = to_float(pos[row * c + i]);
    before = rescale != 0.0f ? row_std(p, c) : 0.0f;
    for (int i = 0; i < c; i++) {
        float n = to_float(neg[row * c + i]);

        p[i] = n + scale * (p[i] - n);
    }
    if (rescale != 0.0f)
        factor = rescale * before / row_std(p, c) + (1.0f - rescale);
    for (int i = 0; i < c; i++) {
        p[i] *= factor;
        pos[row * c + i] = from_float<T>(p[i]);
    }
    for (int i = 0; x && i < c; i++)
        x[row * c + i] = from_float<X>(to_float(x[row * c + i]) + step * p[i]);
}

__device__ void philox(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint32_t hi0 = __umulhi(0xD2511F53u, c[0]), lo0 = 0xD2511F53u * c[0];
        uint32_t hi1 = __umulhi(0xCD9E8D57u, c[2]), lo1 = 0xCD9E8D57u * c[2];

        c[0] = hi1 ^ c[1] ^ k0;
        c[1] = lo1;
        c[2] = hi0 ^ c[3] ^ k1;
        c[3] = lo0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

struct noise_place {
    uint64_t seed;
    uint32_t stream, frame0, y0, x0;
    int h, w, groups;
};

/* One thread a group of four channels, as svr_position_noise() of base/rng.h. */
template <typename T> __global__ void noise_kernel(T *y, int64_t n, noise_place p)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x, rest = i;
    uint32_t c[4];

    if (i >= n)
        return;
    c[3] = (uint32_t) (rest % p.groups) + 256u * p.stream;
    rest /= p.groups;
    c[0] = p.x0 + (uint32_t) (rest % p.w);
    rest /= p.w;
    c[1] = p.y0 + (uint32_t) (rest % p.h);
    c[2] = p.frame0 + (uint32_t) (rest / p.h);
    philox(c, (uint32_t) p.seed, (uint32_t) (p.seed >> 32));
    for (int j = 0; j < 4; j += 2) {
        double radius = sqrt(-2.0 * log(((double) c[j] + 0.5) * 0x1p-32));
        double sine, cosine;

        sincospi(2.0 * (((double) c[j + 1] + 0.5) * 0x1p-32), &sine, &cosine);
        y[4 * i + j] = from_float<T>((float) (radius * cosine));
        y[4 * i + j + 1] = from_float<T>((float) (radius * sine));
    }
}

} // namespace svr

using namespace svr;

enum { THREADS = 256 };

svr_status svr_cuda_copy(svr_exec *exec, const svr_copy_args *args, void *workspace, svr_error *err)
{
    svr_cuda_backend *b = svr_cuda_of(exec);
    int64_t n = svr_tensor_elems(&args->src);
    unsigned grid = grid_for(n, THREADS);

    (void) workspace;
    if (args->src.dtype == args->dst.dtype)
        return svr_cuda_check(cudaMemcpyAsync(args->dst.data, args->src.data,
                                              svr_tensor_bytes(&args->src),
                                              cudaMemcpyDeviceToDevice, b->stream),
                              "copy", err);
    SVR_STORAGE_SWITCH(
        args->src.dtype, S,
        SVR_STORAGE_SWITCH(args->dst.dtype, D,
                           convert_kernel<S, D><<<grid, THREADS, 0, b->stream>>>(
                               (const S *) args->src.data, (D *) args->dst.data, n)));
    return svr_cuda_launched("copy", err);
}

template <typename A, typename Y>
static void launch_lincomb(const svr_lincomb_args *args, cudaStream_t stream)
{
    int64_t n = svr_tensor_elems(&args->y);
    unsigned grid = grid_for(n, THREADS);
    lincomb_range r = {args->alpha, args->beta, args->lo, args->hi, args->clamp};

    SVR_STORAGE_SWITCH(
        svr_tensor_present(&args->b) ? args->b.dtype : args->a.dtype, B,
        lincomb_kernel<A, B, Y><<<grid, THREADS, 0, stream>>>(
            (const A *) args->a.data, (const B *) args->b.data, (Y *) args->y.data, n, r));
}

svr_status svr_cuda_lincomb(svr_exec *exec, const svr_lincomb_args *args, void *workspace,
                            svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;

    (void) workspace;
    SVR_STORAGE_SWITCH(args->a.dtype, A,
                       SVR_STORAGE_SWITCH(args->y.dtype, Y, (launch_lincomb<A, Y>(args, stream))));
    return svr_cuda_launched("lincomb", err);
}

svr_status svr_cuda_find_overflow(svr_exec *exec, const svr_find_overflow_args *args,
                                  void *workspace, svr_error *err)
{
    int64_t n = svr_tensor_elems(&args->x);

    (void) workspace;
    SVR_STORAGE_SWITCH(args->x.dtype, T,
                       find_overflow_kernel<T>
                       <<<grid_for(n, THREADS), THREADS, 0, svr_cuda_of(exec)->stream>>>(
                           (const T *) args->x.data, n, (int32_t *) args->found.data));
    return svr_cuda_launched("find_overflow", err);
}

template <typename T, typename N>
static void launch_guidance(const svr_guidance_args *args, int64_t rows, int c, cudaStream_t stream)
{
    SVR_STORAGE_SWITCH(svr_tensor_present(&args->x) ? args->x.dtype : SVR_F32, X,
                       guidance_kernel<T, N, X><<<blocks_of(rows, THREADS), THREADS, 0, stream>>>(
                           (T *) args->pos.data, (const N *) args->neg.data, (X *) args->x.data,
                           rows, c, args->scale, args->rescale, args->step));
}

svr_status svr_cuda_guidance(svr_exec *exec, const svr_guidance_args *args, void *workspace,
                             svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    int c = (int) args->pos.dims[args->pos.rank - 1];
    int64_t rows = svr_tensor_elems(&args->pos) / c;

    (void) workspace;
    if (c > MAX_GUIDED_CHANNELS)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "guidance: %d channels, at most %d", c,
                        (int) MAX_GUIDED_CHANNELS);
    SVR_STORAGE_SWITCH(
        args->pos.dtype, T,
        SVR_STORAGE_SWITCH(args->neg.dtype, N, (launch_guidance<T, N>(args, rows, c, stream))));
    return svr_cuda_launched("guidance", err);
}

svr_status svr_cuda_noise(svr_exec *exec, const svr_noise_args *args, void *workspace,
                          svr_error *err)
{
    noise_place p = {
        args->seed, args->stream,          args->frame0,          args->y0,
        args->x0,   (int) args->y.dims[1], (int) args->y.dims[2], (int) args->y.dims[3] / 4};
    int64_t n = svr_tensor_elems(&args->y) / 4;

    (void) workspace;
    SVR_STORAGE_SWITCH(args->y.dtype, T,
                       noise_kernel<T>
                       <<<blocks_of(n, THREADS), THREADS, 0, svr_cuda_of(exec)->stream>>>(
                           (T *) args->y.data, n, p));
    return svr_cuda_launched("noise", err);
}
