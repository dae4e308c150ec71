/* Convolutions of pictures: few channels and a spatial kernel.  Taps in space become channels, so
 * that a product is as deep as the hardware likes (27 of 32 for three channels and 3x3) instead of
 * three channels of sixteen at nine taps.  Bound by memory: 64 bytes a pixel are written and read
 * again. */
#include "conv_hopper.cuh"

namespace svr
{

enum { FOLD_THREADS = 256, MOST_FOLDED = 32 };

struct fold_shape {
    int h, w, c;         /* of the source */
    int out_h, out_w;    /* of the result */
    int kw, top, left;   /* kernel width and padding */
    int features, width; /* kh*kw*c, and with zeros behind it */
};

/* One thread eight features of a pixel: feature (dy*kw + dx)*c + k is channel k of the pixel that
 * tap (dy, dx) reads, 0 outside the picture. */
template <typename T> __global__ void fold_kernel(const T *src, T *dst, int64_t n, fold_shape s)
{
    int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x, pixel = i / (s.width / 8);
    int first = (int) (i % (s.width / 8)) * 8;
    int x = (int) (pixel % s.out_w), y = (int) (pixel / s.out_w % s.out_h);
    int64_t frame = pixel / s.out_w / s.out_h;
    float v[8];

    if (i >= n)
        return;
#pragma unroll
    for (int e = 0; e < 8; e++) {
        int feature = first + e, tap = feature / s.c;
        int row = y + tap / s.kw - s.top, column = x + tap % s.kw - s.left;
        bool inside = feature < s.features && row >= 0 && row < s.h && column >= 0 && column < s.w;

        v[e] = inside ? to_float(src[((frame * s.h + row) * s.w + column) * s.c + feature % s.c])
                      : 0.0f;
    }
    store8(dst + i * 8, v);
}

} // namespace svr

using namespace svr;

bool svr::conv_folds(const svr_conv3d_args *args)
{
    int64_t spatial = args->w.dims[2] * args->w.dims[3], features = spatial * args->w.dims[4];

    /* numbers of features that fit as they are would have no widened form to make */
    return spatial > 1 && features <= MOST_FOLDED && features % 8 != 0 && args->stride_s == 1;
}

/* Frames as they will be, without memory yet. */
static svr_tensor folded_frames(const svr_conv3d_args *args, const svr_tensor *t)
{
    svr_tensor f = *t;

    if (!svr_tensor_present(t))
        return f;
    f.dims[1] = args->y.dims[1];
    f.dims[2] = args->y.dims[2];
    f.dims[3] = args->w.dims[2] * args->w.dims[3] * args->w.dims[4];
    return f;
}

svr_conv3d_args svr::conv_folded(const svr_conv3d_args *args)
{
    svr_conv3d_args f = *args;

    f.x = folded_frames(args, &args->x);
    f.head = folded_frames(args, &args->head);
    f.recent = folded_frames(args, &args->recent);
    f.w.dims[4] *= f.w.dims[2] * f.w.dims[3];
    f.w.dims[2] = f.w.dims[3] = 1;
    f.pad_top = f.pad_bottom = f.pad_left = f.pad_right = 0;
    return f;
}

svr_status svr::conv_fold(svr_exec *exec, const svr_conv3d_args *args, svr_tensor *t, char **free,
                          svr_error *err)
{
    size_t bytes;
    svr_tensor wide;
    fold_shape s = {(int) args->x.dims[1], (int) args->x.dims[2], (int) args->x.dims[3],
                    (int) args->y.dims[1], (int) args->y.dims[2], (int) args->w.dims[3],
                    args->pad_top,         args->pad_left,        (int) t->dims[3]};
    int64_t n;

    if (!svr_tensor_present(t) || t->dims[0] == 0)
        return SVR_OK;
    wide = conv_widened(t, &bytes);
    s.width = (int) wide.dims[3];
    n = svr_tensor_elems(&wide) / 8;
    wide.data = *free;
    *free += bytes;
    SVR_STORAGE_SWITCH(t->dtype, T,
                       fold_kernel<T>
                       <<<blocks_of(n, FOLD_THREADS), FOLD_THREADS, 0, svr_cuda_of(exec)->stream>>>(
                           (const T *) t->data, (T *) wide.data, n, s));
    *t = wide;
    return svr_cuda_launched("conv3d", err);
}
