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
#include "upsample_weights.cuh"

#include "backend/upsample.h"

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
