/* Implicit-GEMM convolution on tensor cores, compute capability 9.0 (conv_hopper.cu) and any other
 * (conv_mma.cu): what the host side fills in.
 *
 * y[t,h,w,n] = bias[n] + sum x[t*st + dt - back, h*ss + dy - pad_top, w*ss + dx - pad_left, c] w[n,
 * tap, c]
 * (+ residual), frames before 0 taken from `head` or, without one, frame 0. */
#ifndef SVR_CUDA_KERNELS_CONV_HOPPER_CUH
#define SVR_CUDA_KERNELS_CONV_HOPPER_CUH

#include "common.cuh"

#include <cuda.h>

namespace svr
{

/* A tile of output is TILE_H x TILE_W pixels by TILE_N channels (NARROW_N where there are no more);
 * a step of the sum is STEP_C channels. */
enum { TILE_W = 64, TILE_H = 4, TILE_N = 128, NARROW_N = 16, STEP_C = 64 };

struct conv_problem {
    int t0, frames; /* output frames [t0, t0 + frames) */
    int h, w, k, c; /* output size (with phases: input size), output and input channels */
    int kt, kh, kw; /* taps */
    int stride_t, stride_s;
    int pad_top, pad_left;
    int back;   /* the first output frame's kernel begins so many frames in front of x */
    int before; /* frames of head and recent */
    int has_head, has_recent;
    int halo; /* 1: all spatial taps out of one tile with its border (stride 1, up to 3x3) */
    /* Upsampling: the output has 2 x 2 x tz phases, (dy*2 + dx)*tz + dz, each with weights of its
     * own, [phases, K, ..]; phase 0 of an axis reads from one pixel before.  1: no upsampling. */
    int phases, tz;
    int first_y; /* output frame of t0 */
    int tiles_w, tiles_h, tiles_n;
    int64_t tiles;
    const float *bias; /* [k] or NULL; with phases [phases, 4, k]: 2*(row at the border) + column */
    const void *residual; /* like y or NULL */
    void *y;
    int y_f32; /* y (and residual) are F32, else the storage type */
    /* [frames of y, conv_parts(), k/4] or NULL: statistics of each half of a tile, mean and sum of
     * squares around it of four channels (conv_moments.cu) */
    float2 *partials;
    int wide; /* rows of y and residual can be accessed 16 bytes at a time */
};

/* What a convolution reads: the operands of the op, channels widened where that is needed. */
struct conv_operands {
    svr_tensor x, head, recent, weights; /* weights [phases, K, taps.., C] */
};

/* Where a frame lies: 0 x, 1 head, 2 recent; and its number there. */
struct conv_frame {
    int operand, number;
};

/* Frame `at` of x, negative ones before it. */
__device__ __forceinline__ conv_frame conv_frame_at(const conv_problem &p, int at)
{
    if (at >= 0 || !p.has_head)
        return {0, max(at, 0)};
    return p.has_recent && at == -1 ? conv_frame{2, 0} : conv_frame{1, at + p.before};
}

/* Output frames [t0, t0 + frames) with `weights` [K, kt, kh, kw, C] as a problem. */
conv_problem conv_describe(const svr_conv3d_args *args, const svr_tensor *weights, int t0,
                           int frames);

/* Sets tiles from sizes and frames. */
void conv_tile_up(conv_problem *p);

/* Whether this path can take the convolution on this device. */
bool conv_hopper_serves(const svr_cuda_backend *b, const svr_conv3d_args *args);

/* Whether conv_mma.cu can take it, on any device. */
bool conv_mma_serves(const svr_conv3d_args *args);

/* Whether both can read the tensor: rows of 16-byte units.  What they cannot read has
 * to be copied to wider rows first. */
bool conv_hopper_reads(const svr_tensor *t);

/* The same tensor with rows that can be read so; where it is different, of `bytes` (a
 * multiple of 256), else 0. */
svr_tensor conv_widened(const svr_tensor *t, size_t *bytes);

/* Copies *t to its widened form at *free, where that is another, and moves *free behind it. */
SVR_CHECKED svr_status conv_widen(svr_exec *exec, svr_tensor *t, char **free, svr_error *err);

/* Few channels with a spatial kernel (conv_fold.cu): whether spatial taps are to become channels;
 * the convolution that it is then, 1x1 in space, whose frames are described but not made; and the
 * frames *t of that one, made at *free from those of `args` in a widened form. */
bool conv_folds(const svr_conv3d_args *args);
svr_conv3d_args conv_folded(const svr_conv3d_args *args);
SVR_CHECKED svr_status conv_fold(svr_exec *exec, const svr_conv3d_args *args, svr_tensor *t,
                                 char **free, svr_error *err);

/* Statistics of the result (conv_moments.cu): whether the kernel can make them, parts of a frame,
 * bytes for parts and sums, and the way from p->partials of all frames of y to moments. */
bool conv_makes_moments(const svr_tensor *y, const svr_tensor *moments);
int conv_parts(const conv_problem *p);
size_t conv_moments_workspace(const svr_tensor *y, int parts);
SVR_CHECKED svr_status conv_join_moments(svr_exec *exec, const conv_problem *p, const svr_tensor *y,
                                         const svr_tensor *moments, svr_error *err);

/* The convolution p of the operands. */
SVR_CHECKED svr_status conv_hopper_run(const svr_cuda_backend *b, const conv_operands *o,
                                       const conv_problem *p, svr_error *err);

/* The same through conv_mma.cu, without phases. */
SVR_CHECKED svr_status conv_mma_run(const svr_cuda_backend *b, const conv_operands *o,
                                    const conv_problem *p, svr_error *err);

} // namespace svr

#endif
