/* upsample_conv3d: widening, shuffle and 3x3x3 convolution as one small convolution per phase.
 *
 * All three are linear, so output phase (dy, dx, dz) is a convolution of the low-resolution frames
 * with 2x2 taps in space and 2 (tz = 2) or 3 (tz = 1) in time, whose weights are sums of products
 * w[tap] up[phase read by the tap]: 8 of 28 (12 of 28) of the arithmetic, and no widened tensor.
 * The weights are formed here in F32 and rounded once; at 512 channels that is 58 GFLOP a call.
 * Zero padding must not see up_b, so each phase has a bias for the inside and for each border.
 *
 * At the clip's start frames repeat, which is a matter of weights as well: the frames before are
 * frame 0's first half, and frame 0 has no second half but counts as if it were equal to its first
 * (spec vae §10.1).  So output frames have three kinds of weights: of frame 0, 1, and all others.
 *
 * Compute capability 9.0 and 16-bit types; the rest takes the plain steps in bands of rows. */
#include "conv_hopper.cuh"
#include "cuda_conv.h"

#include "backend/upsample.h"

#include <mma.h>

namespace svr
{

enum {
    FORM_TILE = 128, /* rows and columns of a block's tile */
    FORM_STEP = 64,
    FORM_THREADS = 256,
    FORM_A_LD = FORM_STEP + 8,
    FORM_B_LD = FORM_TILE + 8,
    FORM_STAGE = FORM_TILE * FORM_A_LD + FORM_STEP * FORM_B_LD, /* elements */
    FORM_SHARED = 2 * FORM_STAGE * 2,
    MOST_TERMS = 12
};

/* Which weights are formed. */
struct form_shape {
    int k, m, c; /* outputs, channels between, inputs */
    int tz;      /* of the shuffle */
    int kt;      /* temporal taps: 1 for frame 0, 2 for frame 1, else 2 (tz 2) or 3 */
    int dzs;     /* temporal phases: tz, but 1 for frame 0 */
    bool starts; /* frame 0 is read: it has one half only */
};

/* One product of the sum: tap of w and phase of up. */
struct form_term {
    int tap, sub;
};

struct form_phase {
    int dy, dx, dz;
};

__device__ __forceinline__ form_phase form_phase_of(const form_shape &s, int phase)
{
    return {phase / s.dzs / 2, phase / s.dzs % 2, phase % s.dzs};
}

/* Temporal tap `a` of w, seen from phase dz: which tap of the result it belongs to, which half of
 * that frame it reads. */
__device__ __forceinline__ void form_time(const form_shape &s, int dz, int a, int *tap, int *half)
{
    int at = dz + a - 2; /* in frames of the output, from the first of this input frame */

    *half = 0;
    if (s.tz == 1) {
        *tap = max(a - (3 - s.kt), 0);
        return;
    }
    *tap = s.kt == 1 ? 0 : at >= 0;
    if (!s.starts || at >= 0)
        *half = s.kt == 1 ? 0 : at & 1;
}

/* Spatial tap `p` of w, seen from phase d of its axis: tap of the result and phase that it reads.
 */
__device__ __forceinline__ void form_space(int d, int p, int *tap, int *sub)
{
    int at = d + p - 1;

    *tap = (at >> 1) + 1 - d;
    *sub = at & 1;
}

/* Terms of one tap (dt, i, j) of a phase; returns how many. */
__device__ int form_terms(const form_shape &s, int phase, int tap, form_term *terms)
{
    form_phase f = form_phase_of(s, phase);
    int count = 0;

    for (int n = 0; n < 27; n++) {
        int dt, half, i, suby, j, subx;

        form_time(s, f.dz, n / 9, &dt, &half);
        form_space(f.dy, n / 3 % 3, &i, &suby);
        form_space(f.dx, n % 3, &j, &subx);
        if ((dt * 2 + i) * 2 + j == tap)
            terms[count++] = {n, (suby * 2 + subx) * s.tz + half};
    }
    return count;
}

__device__ __forceinline__ void copy16(void *dst, const void *src, bool there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (uint32_t) __cvta_generic_to_shared(dst)),
                 "l"(src), "r"(there ? 16 : 0)
                 : "memory");
}

/* Piece `step` of a term: 128 rows of w by 64 channels, and those channels by 128 columns of up. */
template <typename T>
__device__ __forceinline__ void form_fetch(const T *w, const T *up, const form_shape &s,
                                           const form_term &term, int m0, T *stage)
{
    int k0 = blockIdx.y * FORM_TILE, c0 = blockIdx.x * FORM_TILE;
    T *b = stage + FORM_TILE * FORM_A_LD;

    for (int i = threadIdx.x; i < FORM_TILE * FORM_STEP / 8; i += FORM_THREADS) {
        int row = i / (FORM_STEP / 8), column = i % (FORM_STEP / 8) * 8;
        bool there = k0 + row < s.k;
        int64_t at = ((int64_t) (there ? k0 + row : 0) * 27 + term.tap) * s.m + m0 + column;

        copy16(stage + row * FORM_A_LD + column, w + at, there);
    }
    for (int i = threadIdx.x; i < FORM_TILE * FORM_STEP / 8; i += FORM_THREADS) {
        int row = i / (FORM_TILE / 8), column = i % (FORM_TILE / 8) * 8;
        bool there = c0 + column < s.c;
        int64_t at = ((int64_t) term.sub * s.m + m0 + row) * s.c + (there ? c0 + column : 0);

        copy16(b + row * FORM_B_LD + column, up + at, there);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Block (columns, rows, tap of a phase) of out [phases, k, taps, c]: a tile of 128 x 128, each of
 * eight warps 32 x 64 of it.  k, m and c are multiples of 64. */
template <typename T>
__global__ void __launch_bounds__(FORM_THREADS)
    form_weights_kernel(const T *w, const T *up, T *out, form_shape s)
{
    using namespace nvcuda;
    extern __shared__ __align__(128) uint8_t raw[];
    __shared__ form_term terms[MOST_TERMS];
    __shared__ int count;
    T *stages = (T *) raw;
    float *patch = (float *) raw;
    int taps = s.kt * 4, phase = blockIdx.z / taps, tap = blockIdx.z % taps;
    int warp = threadIdx.x / 32, row = warp / 2 * 32, column = warp % 2 * 64, per = s.m / FORM_STEP;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> acc[2][4];
    int steps;

    if (threadIdx.x == 0)
        count = form_terms(s, phase, tap, terms);
    __syncthreads();
    steps = count * per;
    for (int i = 0; i < 8; i++)
        wmma::fill_fragment(acc[i / 4][i % 4], 0.0f);
    form_fetch(w, up, s, terms[0], 0, stages);
    for (int step = 0; step < steps; step++) {
        const T *a = stages + step % 2 * FORM_STAGE, *b = a + FORM_TILE * FORM_A_LD;
        int next = step + 1;

        if (next < steps) {
            form_fetch(w, up, s, terms[next / per], next % per * FORM_STEP,
                       stages + next % 2 * FORM_STAGE);
            asm volatile("cp.async.wait_group 1;" ::: "memory");
        } else {
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
        __syncthreads();
        for (int k = 0; k < FORM_STEP; k += 16) {
            wmma::fragment<wmma::matrix_a, 16, 16, 16, T, wmma::row_major> left[2];

            for (int i = 0; i < 2; i++)
                wmma::load_matrix_sync(left[i], a + (row + i * 16) * FORM_A_LD + k, FORM_A_LD);
            for (int j = 0; j < 4; j++) {
                wmma::fragment<wmma::matrix_b, 16, 16, 16, T, wmma::row_major> right;

                wmma::load_matrix_sync(right, b + k * FORM_B_LD + column + j * 16, FORM_B_LD);
                for (int i = 0; i < 2; i++)
                    wmma::mma_sync(acc[i][j], left[i], right, acc[i][j]);
            }
        }
        __syncthreads();
    }
    for (int i = 0; i < 8; i++)
        wmma::store_matrix_sync(patch + (row + i / 4 * 16) * FORM_TILE + column + i % 4 * 16,
                                acc[i / 4][i % 4], FORM_TILE, wmma::mem_row_major);
    __syncthreads();
    for (int i = threadIdx.x; i < FORM_TILE * FORM_TILE / 8; i += FORM_THREADS) {
        int k = blockIdx.y * FORM_TILE + i / (FORM_TILE / 8), at = i % (FORM_TILE / 8) * 8;
        int c = blockIdx.x * FORM_TILE + at;
        float v[8];

        for (int e = 0; e < 8; e++)
            v[e] = patch[i / (FORM_TILE / 8) * FORM_TILE + at + e];
        if (k < s.k && c < s.c)
            store8(out + (((int64_t) phase * s.k + k) * taps + tap) * s.c + c, v);
    }
}

/* One warp a phase and output channel: bias[phase][2*(row at the border) + column][k]. */
template <typename T>
__global__ void form_bias_kernel(const T *w, const float *b, const float *up_b, float *bias,
                                 form_shape s)
{
    int n = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    int phase = n / s.k, k = n % s.k;
    form_phase f = form_phase_of(s, phase);
    float total[4] = {};

    if (phase >= 4 * s.dzs)
        return;
    for (int tap = 0; tap < 27; tap++) {
        int dt, half, i, suby, j, subx, p = tap / 3 % 3, q = tap % 3;
        const T *row = w + ((int64_t) k * 27 + tap) * s.m;
        float sum = 0.0f;

        form_time(s, f.dz, tap / 9, &dt, &half);
        form_space(f.dy, p, &i, &suby);
        form_space(f.dx, q, &j, &subx);
        for (int m = lane; m < s.m; m += 32)
            sum += to_float(row[m]) * up_b[((suby * 2 + subx) * s.tz + half) * s.m + m];
        sum = warp_sum(sum);
        for (int border = 0; border < 4; border++)
            if (!(border / 2 && p == f.dy * 2) && !(border % 2 && q == f.dx * 2))
                total[border] += sum;
    }
    if (lane < 4)
        bias[(phase * 4 + lane) * s.k + k] = (b ? b[k] : 0.0f) + total[lane];
}

} // namespace svr

using namespace svr;

/* The merged convolution: what is formed and read. */
struct merged {
    const svr_upsample_conv3d_args *args;
    svr_tensor x, head, w, up; /* as the copy engine reads them */
    void *weights;             /* formed */
    float *bias;
    float2 *partials; /* statistics, or NULL */
};

static bool serves(const svr_cuda_backend *b, const svr_upsample_conv3d_args *args)
{
    const svr_tensor *w = &args->w, *up = &args->up;

    return b->capability == 90 && args->x.dtype != SVR_F32 && w->dtype == args->x.dtype &&
           up->dtype == w->dtype && w->dims[0] % 64 == 0 && w->dims[4] % 64 == 0 &&
           up->dims[4] % 64 == 0;
}

/* Bytes of the formed weights, enough for every kind of frame. */
static size_t weight_bytes(const svr_upsample_conv3d_args *args)
{
    size_t taps = 4 * (args->tz == 2 ? 2 : 3), phases = 4 * (size_t) args->tz;

    return phases * (size_t) args->w.dims[0] * taps * (size_t) args->up.dims[4] * 2;
}

static size_t bias_bytes(const svr_upsample_conv3d_args *args)
{
    return 4 * (size_t) args->tz * 4 * (size_t) args->w.dims[0] * sizeof(float);
}

/* A frame of the result as the statistics see it: four phases of the size of x. */
static conv_problem frame_of(const svr_upsample_conv3d_args *args)
{
    conv_problem p = {};

    p.h = (int) args->x.dims[1];
    p.w = (int) args->x.dims[2];
    p.phases = 4;
    p.tz = 1;
    conv_tile_up(&p);
    return p;
}

static size_t moments_bytes(const svr_upsample_conv3d_args *args)
{
    if (!svr_tensor_present(&args->moments))
        return 0;
    if (conv_makes_moments(&args->y, &args->moments)) {
        conv_problem p = frame_of(args);

        return conv_moments_workspace(&args->y, conv_parts(&p));
    }
    return svr_cuda_moments_workspace(&args->y, (int) args->moments.dims[1]);
}

/* The plain steps and the statistics behind them, in the same memory. */
static size_t plain_bytes(svr_backend *backend, const svr_upsample_conv3d_args *args)
{
    size_t steps = svr_upsample_plain_workspace(backend, args, SVR_UPSAMPLE_BOUND), moments = 0;

    if (svr_tensor_present(&args->moments))
        moments = svr_cuda_moments_workspace(&args->y, (int) args->moments.dims[1]);
    return max(steps, moments);
}

static svr_status run_plain(svr_exec *exec, const svr_upsample_conv3d_args *args, void *workspace,
                            svr_error *err)
{
    SVR_TRY(svr_upsample_plain(exec, args, SVR_UPSAMPLE_BOUND, workspace, err));
    return svr_tensor_present(&args->moments)
               ? svr_cuda_moments(exec, &args->y, &args->moments, workspace, err)
               : SVR_OK;
}

size_t svr_cuda_upsample_conv3d_workspace(svr_backend *backend,
                                          const svr_upsample_conv3d_args *args)
{
    const svr_tensor *operands[] = {&args->x, &args->head, &args->w, &args->up};
    size_t total = weight_bytes(args) + bias_bytes(args), bytes;

    if (!serves((svr_cuda_backend *) backend, args))
        return plain_bytes(backend, args);
    for (const svr_tensor *operand : operands) {
        conv_widened(operand, &bytes);
        total += bytes;
    }
    return total + moments_bytes(args);
}

template <typename T>
static svr_status form(svr_exec *exec, const merged *m, const form_shape &s, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    dim3 grid((unsigned) ((s.c + FORM_TILE - 1) / FORM_TILE),
              (unsigned) ((s.k + FORM_TILE - 1) / FORM_TILE), (unsigned) (4 * s.dzs * s.kt * 4));
    const svr_tensor *b = &m->args->b, *up_b = &m->args->up_b;

    SVR_TRY(svr_cuda_check(cudaFuncSetAttribute(form_weights_kernel<T>,
                                                cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                FORM_SHARED),
                           "upsample_conv3d", err));
    form_weights_kernel<T><<<grid, FORM_THREADS, FORM_SHARED, stream>>>(
        (const T *) m->w.data, (const T *) m->up.data, (T *) m->weights, s);
    form_bias_kernel<T><<<(unsigned) (4 * s.dzs * s.k + 7) / 8, 256, 0, stream>>>(
        (const T *) m->w.data, (const float *) b->data, (const float *) up_b->data, m->bias, s);
    return svr_cuda_launched("upsample_conv3d", err);
}

static conv_problem describe(const merged *m, const form_shape &s, int t0, int frames)
{
    const svr_upsample_conv3d_args *args = m->args;
    bool has_head = svr_tensor_present(&args->head);
    conv_problem p = {};

    p.t0 = t0;
    p.frames = frames;
    p.h = (int) args->x.dims[1];
    p.w = (int) args->x.dims[2];
    p.k = s.k;
    p.c = s.c;
    p.kt = s.kt;
    p.kh = p.kw = 2;
    p.stride_t = p.stride_s = 1;
    p.pad_top = p.pad_left = 1; /* of phase 0 */
    p.back = s.kt - 1;
    p.has_head = has_head;
    p.before = has_head ? (int) args->head.dims[0] : 0;
    p.halo = 1;
    p.phases = 4 * s.dzs;
    p.tz = s.dzs;
    p.first_y = has_head ? t0 * args->tz : t0 == 0 ? 0 : (t0 - 1) * args->tz + 1;
    p.bias = m->bias;
    p.y = args->y.data;
    p.y_f32 = args->y.dtype == SVR_F32;
    p.wide = aligned16(p.y);
    p.partials = m->partials;
    conv_tile_up(&p);
    return p;
}

/* Input frames [t0, t0 + frames), which read kt frames each. */
static svr_status run_frames(svr_exec *exec, const merged *m, int t0, int frames, int kt,
                             svr_error *err)
{
    const svr_upsample_conv3d_args *args = m->args;
    bool has_head = svr_tensor_present(&args->head);
    bool starts = has_head ? args->head_starts && t0 == 0 : t0 < 2;
    int dzs = !has_head && t0 == 0 ? 1 : args->tz;
    form_shape s = {(int) args->w.dims[0],
                    (int) args->w.dims[4],
                    (int) args->up.dims[4],
                    args->tz,
                    kt,
                    dzs,
                    starts};
    svr_tensor weights = svr_tensor_1d(m->weights, m->x.dtype, s.c);
    conv_problem p;
    double pixels;

    if (frames <= 0)
        return SVR_OK;
    p = describe(m, s, t0, frames);
    pixels = (double) frames * p.h * p.w;
    if (m->x.dtype == SVR_BF16)
        SVR_TRY(form<__nv_bfloat16>(exec, m, s, err));
    else
        SVR_TRY(form<__half>(exec, m, s, err));
    conv_operands o = {m->x, m->head, {}, weights};

    SVR_TRY(conv_hopper_run(svr_cuda_of(exec), &o, &p, err));
    return svr_cuda_pace(exec, 2.0 * pixels * p.phases * p.k * kt * 4 * p.c, err);
}

/* All frames of the result; at the clip's start the first ones have weights of their own. */
static svr_status run_all(svr_exec *exec, const merged *m, svr_error *err)
{
    const svr_upsample_conv3d_args *args = m->args;
    int frames = (int) args->x.dims[0], kt = args->tz == 2 ? 2 : 3;

    if (args->head_starts) {
        SVR_TRY(run_frames(exec, m, 0, 1, 2, err));
        return run_frames(exec, m, 1, frames - 1, kt, err);
    }
    if (svr_tensor_present(&args->head))
        return run_frames(exec, m, 0, frames, kt, err);
    SVR_TRY(run_frames(exec, m, 0, 1, 1, err));
    SVR_TRY(run_frames(exec, m, 1, frames > 1 ? 1 : 0, 2, err));
    return run_frames(exec, m, 2, frames - 2, kt, err);
}

/* The statistics of the result: from the kernel's parts, or from the result. */
static svr_status make_moments(svr_exec *exec, const merged *m, void *workspace, svr_error *err)
{
    const svr_upsample_conv3d_args *args = m->args;
    conv_problem p = frame_of(args);

    if (!m->partials)
        return svr_cuda_moments(exec, &args->y, &args->moments, workspace, err);
    p.partials = m->partials;
    return conv_join_moments(exec, &p, &args->y, &args->moments, err);
}

svr_status svr_cuda_upsample_conv3d(svr_exec *exec, const svr_upsample_conv3d_args *args,
                                    void *workspace, svr_error *err)
{
    merged m = {args, args->x, args->head, args->w, args->up, workspace, NULL, NULL};
    char *free = (char *) workspace + weight_bytes(args);

    if (!serves(svr_cuda_of(exec), args))
        return run_plain(exec, args, workspace, err);
    m.bias = (float *) free;
    free += bias_bytes(args);
    for (svr_tensor *operand : {&m.x, &m.head, &m.w, &m.up})
        SVR_TRY(conv_widen(exec, operand, &free, err));
    if (conv_makes_moments(&args->y, &args->moments))
        m.partials = (float2 *) free;
    SVR_TRY(run_all(exec, &m, err));
    return svr_tensor_present(&args->moments) ? make_moments(exec, &m, free, err) : SVR_OK;
}
