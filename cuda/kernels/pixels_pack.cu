/* unpack and pack: integers of one frame to R'G'B' and back.
 * One thread takes a pixel (or a chroma sample) of a row; all bound by memory.  The arithmetic
 * rounds as on the CPU, so that codes are the same. */
#include "pixels.cuh"

namespace svr
{

/* Byte positions inside a pixel of a packed format; alpha or filler at `a`, -1 when there is none.
 */
struct packed_layout {
    int bytes, r, g, b, a;
};

/* The chroma planes of a YUV frame, interleaved or not. */
struct chroma_view {
    uint8_t *u, *v;
    ptrdiff_t u_stride, v_stride;
    int step; /* bytes from sample to sample */
    int width, height;
    bool h_cosited, v_cosited;
};

/* code = offset + range * value for luma in [0,1]; 128 + chroma_range * value for chroma in
 * [-.5,.5]. R' = Y' + 2(1-kr) Cr, B' = Y' + 2(1-kb) Cb, G' from Y' = kr R' + kg G' + kb B'. */
struct yuv_numbers {
    float luma_offset, luma_range, chroma_range;
    float kr, kg, kb;
    float r_cr, g_cb, g_cr, b_cb;
};

/* The first plane of a frame. */
struct plane_view {
    uint8_t *data;
    ptrdiff_t stride;
    int width, height;
};

/* ---------------------------------------------------------------------------- unpack */

/* Warps of 32 pixels of a row; alpha may be NULL, `opaque` formats give 1. */
__global__ void unpack_packed_kernel(plane_view in, packed_layout layout, bool opaque, float *rgb,
                                     float *alpha)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first = blockIdx.x * PIXEL_THREADS + 32 * warp, count = group_count(first, in.width);

    if (first >= in.width)
        return;
    for (int row = blockIdx.y; row < in.height; row += gridDim.y) {
        const uint8_t *pixel = in.data + row * in.stride + (int64_t) (first + lane) * layout.bytes;
        int64_t at = (int64_t) row * in.width + first;
        float v[3] = {0.0f, 0.0f, 0.0f};

        if (lane < count) {
            v[0] = (float) pixel[layout.r] / 255.0f;
            v[1] = (float) pixel[layout.g] / 255.0f;
            v[2] = (float) pixel[layout.b] / 255.0f;
            if (alpha)
                alpha[at + lane] = opaque ? 1.0f : (float) pixel[layout.a] / 255.0f;
        }
        store_pixels(rgb + 3 * at, count, shared[warp], v);
    }
}

/* The two chroma samples around a luma sample; `weight` is the second's. */
struct chroma_neighbours {
    int first, second;
    float weight;
};

__device__ __forceinline__ chroma_neighbours neighbours_at(int luma, int samples, bool cosited)
{
    int quarters = 2 * luma - (cosited ? 0 : 1); /* place on the chroma grid, in quarter samples */
    int floor = quarters < 0 ? -1 : quarters / 4;

    return {clamp_index(floor, samples), clamp_index(floor + 1, samples),
            (float) (quarters - 4 * floor) * 0.25f};
}

/* Exact: weights are quarters and codes have 8 bits. */
__device__ __forceinline__ float mix_codes(float a, float b, float weight)
{
    return a + (b - a) * weight;
}

__device__ __forceinline__ float chroma_code(const uint8_t *plane, ptrdiff_t stride, int step,
                                             const chroma_neighbours &rows,
                                             const chroma_neighbours &columns)
{
    const uint8_t *upper = plane + rows.first * stride, *lower = plane + rows.second * stride;
    int64_t left = (int64_t) columns.first * step, right = (int64_t) columns.second * step;

    return mix_codes(mix_codes((float) upper[left], (float) lower[left], rows.weight),
                     mix_codes((float) upper[right], (float) lower[right], rows.weight),
                     columns.weight);
}

/* Warps of 32 pixels of a row; alpha may be NULL. */
__global__ void unpack_yuv_kernel(plane_view luma, chroma_view chroma, yuv_numbers m, float *rgb,
                                  float *alpha)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first = blockIdx.x * PIXEL_THREADS + 32 * warp, count = group_count(first, luma.width);
    int x = first + (lane < count ? lane : 0);
    chroma_neighbours columns = neighbours_at(x, chroma.width, chroma.h_cosited);

    if (first >= luma.width)
        return;
    for (int row = blockIdx.y; row < luma.height; row += gridDim.y) {
        chroma_neighbours rows = neighbours_at(row, chroma.height, chroma.v_cosited);
        float u = chroma_code(chroma.u, chroma.u_stride, chroma.step, rows, columns);
        float v = chroma_code(chroma.v, chroma.v_stride, chroma.step, rows, columns);
        float y = ((float) luma.data[row * luma.stride + x] - m.luma_offset) / m.luma_range;
        float cb = (u - 128.0f) / m.chroma_range, cr = (v - 128.0f) / m.chroma_range;
        int64_t at = (int64_t) row * luma.width + first;
        float value[3] = {y + rounded_product(m.r_cr, cr),
                          y - rounded_product(m.g_cb, cb) - rounded_product(m.g_cr, cr),
                          y + rounded_product(m.b_cb, cb)};

        store_pixels(rgb + 3 * at, count, shared[warp], value);
        if (alpha && lane < count)
            alpha[at + lane] = 1.0f;
    }
}

/* ---------------------------------------------------------------------------- pack */

/* The integer nearest to `value`, ties to even, in 0..255; NaN gives 0. */
__device__ __forceinline__ uint8_t code_of(float value, bool truncate)
{
    value = value > 0.0f ? value : 0.0f;
    value = value < 255.0f ? value : 255.0f;
    return (uint8_t) (truncate ? value : rintf(value));
}

/* NaN gives 0. */
__device__ __forceinline__ float unit_of(float model)
{
    model = model > -1.0f ? model : -1.0f;
    model = model < 1.0f ? model : 1.0f;
    return (model + 1.0f) * 0.5f;
}

/* Warps of 32 pixels of a row; alpha may be NULL: opaque. */
__global__ void pack_packed_kernel(plane_view out, packed_layout layout, bool truncate,
                                   const float *rgb, const float *alpha)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first = blockIdx.x * PIXEL_THREADS + 32 * warp, count = group_count(first, out.width);

    if (first >= out.width)
        return;
    for (int row = blockIdx.y; row < out.height; row += gridDim.y) {
        uint8_t *pixel = out.data + row * out.stride + (int64_t) (first + lane) * layout.bytes;
        int64_t at = (int64_t) row * out.width + first;
        float v[3];

        load_pixels(rgb + 3 * at, count, shared[warp], v);
        if (lane >= count)
            continue;
        pixel[layout.r] = code_of(unit_of(v[0]) * 255.0f, truncate);
        pixel[layout.g] = code_of(unit_of(v[1]) * 255.0f, truncate);
        pixel[layout.b] = code_of(unit_of(v[2]) * 255.0f, truncate);
        if (layout.a >= 0)
            pixel[layout.a] = alpha ? code_of(alpha[at + lane] * 255.0f, truncate) : 255;
    }
}

__device__ __forceinline__ float luma_of(const yuv_numbers &m, const float (&rgb)[3])
{
    return rounded_product(m.kr, rgb[0]) + rounded_product(m.kg, rgb[1]) +
           rounded_product(m.kb, rgb[2]);
}

/* Warps of 32 pixels of a row. */
__global__ void pack_luma_kernel(plane_view out, yuv_numbers m, bool truncate, const float *rgb)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first = blockIdx.x * PIXEL_THREADS + 32 * warp, count = group_count(first, out.width);

    if (first >= out.width)
        return;
    for (int row = blockIdx.y; row < out.height; row += gridDim.y) {
        float v[3];

        load_pixels(rgb + 3 * ((int64_t) row * out.width + first), count, shared[warp], v);
        for (int k = 0; k < 3; k++)
            v[k] = unit_of(v[k]);
        if (lane < count)
            out.data[row * out.stride + first + lane] =
                code_of(m.luma_offset + rounded_product(m.luma_range, luma_of(m, v)), truncate);
    }
}

/* Luma samples whose average is a chroma sample: [1 2 1]/4 around a cosited one, else its pair. */
struct luma_filter {
    int first, count;
    float side, middle; /* weights; a pair has sides only */
};

__device__ __forceinline__ luma_filter luma_around(int sample, bool cosited)
{
    return cosited ? luma_filter{2 * sample - 1, 3, 0.25f, 0.5f}
                   : luma_filter{2 * sample, 2, 0.5f, 0.5f};
}

__device__ __forceinline__ float weight_at(const luma_filter &f, int i)
{
    return i == 1 ? f.middle : f.side;
}

/* One thread a chroma sample: filters R'G'B' around it (the matrix is linear, so it may come
 * after). */
__global__ void pack_chroma_kernel(chroma_view out, plane_view picture, yuv_numbers m,
                                   bool truncate, const float *rgb)
{
    int x = blockIdx.x * PIXEL_THREADS + threadIdx.x;
    luma_filter columns = luma_around(x, out.h_cosited);

    if (x >= out.width)
        return;
    for (int y = blockIdx.y; y < out.height; y += gridDim.y) {
        luma_filter rows = luma_around(y, out.v_cosited);
        float sum[3] = {0.0f, 0.0f, 0.0f}, luma;

        for (int j = 0; j < rows.count; j++) {
            int64_t row = clamp_index(rows.first + j, picture.height);

            for (int i = 0; i < columns.count; i++) {
                int column = clamp_index(columns.first + i, picture.width);
                const float *pixel = rgb + 3 * (row * picture.width + column);
                float weight = weight_at(rows, j) * weight_at(columns, i);

                for (int k = 0; k < 3; k++)
                    sum[k] += rounded_product(weight, unit_of(pixel[k]));
            }
        }
        luma = luma_of(m, sum);
        out.u[y * out.u_stride + (int64_t) x * out.step] =
            code_of(128.0f + rounded_product(m.chroma_range, (sum[2] - luma) / m.b_cb), truncate);
        out.v[y * out.v_stride + (int64_t) x * out.step] =
            code_of(128.0f + rounded_product(m.chroma_range, (sum[0] - luma) / m.r_cr), truncate);
    }
}

} // namespace svr

using namespace svr;

static packed_layout layout_of(svr_pixel_format format)
{
    switch (format) {
    case SVR_PIXEL_RGB:
        return {3, 0, 1, 2, -1};
    case SVR_PIXEL_BGR:
        return {3, 2, 1, 0, -1};
    case SVR_PIXEL_RGBA:
    case SVR_PIXEL_RGBX:
        return {4, 0, 1, 2, 3};
    case SVR_PIXEL_BGRA:
    case SVR_PIXEL_BGRX:
        return {4, 2, 1, 0, 3};
    case SVR_PIXEL_ARGB:
    case SVR_PIXEL_XRGB:
        return {4, 1, 2, 3, 0};
    default: /* ABGR, XBGR */
        return {4, 3, 2, 1, 0};
    }
}

static chroma_view chroma_of(const svr_video_info *info, const svr_frame *frame)
{
    chroma_view c = {};

    c.u = frame->plane[1];
    c.u_stride = frame->stride[1];
    c.width = (info->width + 1) / 2;
    c.height = (info->height + 1) / 2;
    c.h_cosited = info->color.chroma_h_cosited;
    c.v_cosited = info->color.chroma_v_cosited;
    if (info->format == SVR_PIXEL_NV12) {
        c.v = c.u + 1;
        c.v_stride = c.u_stride;
        c.step = 2;
    } else {
        c.v = frame->plane[2];
        c.v_stride = frame->stride[2];
        c.step = 1;
    }
    return c;
}

static yuv_numbers numbers_of(const svr_colorimetry *color)
{
    double kr = color->kr, kb = color->kb, kg = 1.0 - kr - kb;
    yuv_numbers m = {};

    m.luma_offset = color->full_range ? 0.0f : 16.0f;
    m.luma_range = color->full_range ? 255.0f : 219.0f;
    m.chroma_range = color->full_range ? 255.0f : 224.0f;
    m.kr = (float) kr;
    m.kg = (float) kg;
    m.kb = (float) kb;
    m.r_cr = (float) (2.0 * (1.0 - kr));
    m.b_cb = (float) (2.0 * (1.0 - kb));
    m.g_cb = (float) (2.0 * (1.0 - kb) * kb / kg);
    m.g_cr = (float) (2.0 * (1.0 - kr) * kr / kg);
    return m;
}

static plane_view first_plane(const svr_video_info *info, const svr_frame *frame)
{
    return {frame->plane[0], frame->stride[0], info->width, info->height};
}

svr_status svr_cuda_unpack(svr_exec *exec, const svr_unpack_args *args, void *workspace,
                           svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    const svr_video_info *info = &args->info;
    plane_view plane = first_plane(info, &args->frame);
    dim3 grid = grid_of_rows(info->width, info->height);
    float *rgb = (float *) args->rgb.data, *alpha = (float *) args->alpha.data;

    (void) workspace;
    if (svr_pixel_is_yuv(info->format))
        unpack_yuv_kernel<<<grid, PIXEL_THREADS, 0, stream>>>(plane, chroma_of(info, &args->frame),
                                                              numbers_of(&info->color), rgb, alpha);
    else
        unpack_packed_kernel<<<grid, PIXEL_THREADS, 0, stream>>>(
            plane, layout_of(info->format), !svr_pixel_has_alpha(info->format), rgb, alpha);
    return svr_cuda_launched("unpack", err);
}

static svr_status pack_yuv(const svr_pack_args *args, cudaStream_t stream, svr_error *err)
{
    const svr_video_info *info = &args->info;
    plane_view plane = first_plane(info, &args->frame);
    chroma_view chroma = chroma_of(info, &args->frame);
    yuv_numbers m = numbers_of(&info->color);
    const float *rgb = (const float *) args->rgb.data;

    pack_luma_kernel<<<grid_of_rows(info->width, info->height), PIXEL_THREADS, 0, stream>>>(
        plane, m, args->truncate, rgb);
    SVR_TRY(svr_cuda_launched("pack of luma", err));
    pack_chroma_kernel<<<grid_of_rows(chroma.width, chroma.height), PIXEL_THREADS, 0, stream>>>(
        chroma, plane, m, args->truncate, rgb);
    return svr_cuda_launched("pack of chroma", err);
}

svr_status svr_cuda_pack(svr_exec *exec, const svr_pack_args *args, void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    const svr_video_info *info = &args->info;
    bool has_alpha = svr_pixel_has_alpha(info->format);

    (void) workspace;
    if (svr_pixel_is_yuv(info->format))
        return pack_yuv(args, stream, err);
    pack_packed_kernel<<<grid_of_rows(info->width, info->height), PIXEL_THREADS, 0, stream>>>(
        first_plane(info, &args->frame), layout_of(info->format), args->truncate,
        (const float *) args->rgb.data, has_alpha ? (const float *) args->alpha.data : NULL);
    return svr_cuda_launched("pack", err);
}
