/* unpack and pack: integers of one frame to R'G'B' and back, for all formats by their layouts and
 * words.  One thread takes a pixel (or a chroma sample) of a row; all bound by memory.  The
 * arithmetic rounds as on the CPU, so that codes are the same. */
#include "pixels.cuh"

#include "base/frame_math.h"

namespace svr
{

/* A frame with all that its format says about it. */
struct frame_view {
    svr_samples channel[SVR_MAX_CHANNELS];
    svr_code_map map;
    int width, height;
    int w_sub, h_sub;
    bool h_cosited, v_cosited;
    bool fourth, alpha; /* there is a fourth channel; it is alpha */
};

template <typename Word>
__device__ __forceinline__ const Word *word_at(const svr_samples &s, int64_t row, int64_t x)
{
    return reinterpret_cast<const Word *>(s.data + row * s.stride + x * s.step);
}

template <typename Word>
__device__ __forceinline__ float sample_at(const svr_samples &s, int64_t row, int64_t x)
{
    unsigned word = *word_at<Word>(s, row, x);

    if (sizeof(Word) == 2 && s.big_endian)
        word = svr_swap_bytes(word);
    return (float) (sizeof(Word) == 1 ? word : word >> s.shift & s.top);
}

/* For words that hold one sample. */
template <typename Word>
__device__ __forceinline__ void put_sample(const svr_samples &s, int64_t row, int64_t x,
                                           unsigned code)
{
    unsigned word = code << s.shift;

    if (sizeof(Word) == 2 && s.big_endian)
        word = svr_swap_bytes(word);
    *reinterpret_cast<Word *>(s.data + row * s.stride + x * s.step) = (Word) word;
}

template <typename Word>
__device__ __forceinline__ float value_at(const frame_view &f, int channel, int64_t row, int64_t x)
{
    return (sample_at<Word>(f.channel[channel], row, x) - f.map.offset[channel]) /
           f.map.scale[channel];
}

/* ---------------------------------------------------------------------------- unpack */

/* Warps of 32 pixels of a row; alpha may be NULL, formats without give 1. */
template <typename Word> __global__ void unpack_rgb_kernel(frame_view in, float *rgb, float *alpha)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first = blockIdx.x * PIXEL_THREADS + 32 * warp, count = group_count(first, in.width);

    if (first >= in.width)
        return;
    for (int row = blockIdx.y; row < in.height; row += gridDim.y) {
        int64_t at = (int64_t) row * in.width + first;
        float v[3] = {0.0f, 0.0f, 0.0f};

        if (lane < count) {
#pragma unroll
            for (int k = 0; k < 3; k++)
                v[k] = value_at<Word>(in, k, row, first + lane);
            if (alpha)
                alpha[at + lane] = in.alpha ? value_at<Word>(in, 3, row, first + lane) : 1.0f;
        }
        store_pixels(rgb + 3 * at, count, shared[warp], v);
    }
}

/* The sum of the samples around a luma sample; exact.  Taps beyond an end's count weigh nothing. */
template <typename Word, int ROWS, int COLUMNS>
__device__ __forceinline__ float chroma_code(const svr_samples &s, const svr_chroma_up &rows,
                                             const svr_chroma_up &columns)
{
    float sum = 0.0f;

#pragma unroll
    for (int j = 0; j < ROWS; j++) {
#pragma unroll
        for (int i = 0; i < COLUMNS; i++)
            sum +=
                rows.weight[j] * columns.weight[i] * sample_at<Word>(s, rows.at[j], columns.at[i]);
    }
    return sum;
}

/* Warps of 32 pixels of a row; alpha may be NULL.  ROWS and COLUMNS are the taps of chroma. */
template <typename Word, int ROWS, int COLUMNS>
__global__ void unpack_yuv_kernel(frame_view in, float *rgb, float *alpha)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    const svr_code_map &m = in.map;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first = blockIdx.x * PIXEL_THREADS + 32 * warp, count = group_count(first, in.width);
    int x = first + (lane < count ? lane : 0);

    if (first >= in.width)
        return;
    svr_chroma_up columns = svr_chroma_up_at(x, in.width, in.w_sub, in.h_cosited);
    for (int row = blockIdx.y; row < in.height; row += gridDim.y) {
        svr_chroma_up rows = svr_chroma_up_at(row, in.height, in.h_sub, in.v_cosited);
        float u = chroma_code<Word, ROWS, COLUMNS>(in.channel[1], rows, columns);
        float v = chroma_code<Word, ROWS, COLUMNS>(in.channel[2], rows, columns);
        float y = value_at<Word>(in, 0, row, x);
        float cb = (u - m.offset[1]) / m.scale[1], cr = (v - m.offset[2]) / m.scale[2];
        int64_t at = (int64_t) row * in.width + first;
        float value[3] = {y + rounded_product(m.r_cr, cr),
                          y - rounded_product(m.g_cb, cb) - rounded_product(m.g_cr, cr),
                          y + rounded_product(m.b_cb, cb)};

        store_pixels(rgb + 3 * at, count, shared[warp], value);
        if (alpha && lane < count)
            alpha[at + lane] = 1.0f;
    }
}

/* ---------------------------------------------------------------------------- pack */

/* The integer nearest to `value`, ties to even, in 0..top; NaN gives 0. */
__device__ __forceinline__ unsigned code_of(float value, unsigned top, bool truncate)
{
    value = value > 0.0f ? value : 0.0f;
    value = value < (float) top ? value : (float) top;
    return (unsigned) (truncate ? value : rintf(value));
}

/* The code of a unit value. */
__device__ __forceinline__ unsigned channel_code(const frame_view &f, int channel, float value,
                                                 bool truncate)
{
    return code_of(f.map.offset[channel] + rounded_product(f.map.scale[channel], value),
                   f.channel[channel].top, truncate);
}

/* NaN gives 0. */
__device__ __forceinline__ float unit_of(float model)
{
    model = model > -1.0f ? model : -1.0f;
    model = model < 1.0f ? model : 1.0f;
    return (model + 1.0f) * 0.5f;
}

/* The codes of a pixel, in one word or one each. */
template <typename Word>
__device__ __forceinline__ void put_pixel(const frame_view &out, int64_t row, int64_t x,
                                          const unsigned (&codes)[SVR_MAX_CHANNELS])
{
    if constexpr (sizeof(Word) == 4) {
        const svr_samples &s = out.channel[0];
        unsigned word = 0;

#pragma unroll
        for (int k = 0; k < SVR_MAX_CHANNELS; k++)
            word |= codes[k] << out.channel[k].shift;
        *reinterpret_cast<Word *>(s.data + row * s.stride + x * s.step) = word;
    } else {
#pragma unroll
        for (int k = 0; k < SVR_MAX_CHANNELS; k++) {
            if (k < 3 || out.fourth)
                put_sample<Word>(out.channel[k], row, x, codes[k]);
        }
    }
}

/* Warps of 32 pixels of a row; alpha may be NULL: opaque. */
template <typename Word>
__global__ void pack_rgb_kernel(frame_view out, bool truncate, const float *rgb, const float *alpha)
{
    __shared__ float shared[PIXEL_WARPS][WARP_FLOATS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first = blockIdx.x * PIXEL_THREADS + 32 * warp, count = group_count(first, out.width);

    if (first >= out.width)
        return;
    for (int row = blockIdx.y; row < out.height; row += gridDim.y) {
        int64_t at = (int64_t) row * out.width + first;
        unsigned codes[SVR_MAX_CHANNELS];
        float v[3];

        load_pixels(rgb + 3 * at, count, shared[warp], v);
        if (lane >= count)
            continue;
#pragma unroll
        for (int k = 0; k < 3; k++)
            codes[k] = channel_code(out, k, unit_of(v[k]), truncate);
        codes[3] = channel_code(out, 3, alpha ? alpha[at + lane] : 1.0f, truncate);
        put_pixel<Word>(out, row, first + lane, codes);
    }
}

__device__ __forceinline__ float luma_of(const svr_code_map &m, const float (&rgb)[3])
{
    return rounded_product(m.kr, rgb[0]) + rounded_product(m.kg, rgb[1]) +
           rounded_product(m.kb, rgb[2]);
}

/* Warps of 32 pixels of a row. */
template <typename Word>
__global__ void pack_luma_kernel(frame_view out, bool truncate, const float *rgb)
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
            put_sample<Word>(out.channel[0], row, first + lane,
                             channel_code(out, 0, luma_of(out.map, v), truncate));
    }
}

/* Filtered unit R'G'B' around a chroma sample (the matrix is linear, so it may come after). */
template <int ROWS, int COLUMNS>
__device__ __forceinline__ void filtered(const frame_view &out, const svr_chroma_down &rows,
                                         const svr_chroma_down &columns, const float *rgb,
                                         float (&sum)[3])
{
#pragma unroll
    for (int j = 0; j < ROWS; j++) {
        const float *row =
            rgb + 3 * ((int64_t) clamp_index(rows.first + j, out.height) * out.width);

#pragma unroll
        for (int i = 0; i < COLUMNS; i++) {
            const float *pixel = row + 3 * (int64_t) clamp_index(columns.first + i, out.width);
            float weight = rows.weight[j] * columns.weight[i];

            for (int k = 0; k < 3; k++)
                sum[k] += rounded_product(weight, unit_of(pixel[k]));
        }
    }
}

/* One thread a chroma sample; ROWS and COLUMNS are the taps. */
template <typename Word, int ROWS, int COLUMNS>
__global__ void pack_chroma_kernel(frame_view out, bool truncate, const float *rgb)
{
    const svr_samples &u = out.channel[1], &v = out.channel[2];
    int x = blockIdx.x * PIXEL_THREADS + threadIdx.x;

    if (x >= u.width)
        return;
    svr_chroma_down columns = svr_chroma_down_at(x, out.w_sub, out.h_cosited);
    for (int y = blockIdx.y; y < u.height; y += gridDim.y) {
        svr_chroma_down rows = svr_chroma_down_at(y, out.h_sub, out.v_cosited);
        float sum[3] = {0.0f, 0.0f, 0.0f}, luma;

        filtered<ROWS, COLUMNS>(out, rows, columns, rgb, sum);
        luma = luma_of(out.map, sum);
        put_sample<Word>(u, y, x, channel_code(out, 1, (sum[2] - luma) / out.map.b_cb, truncate));
        put_sample<Word>(v, y, x, channel_code(out, 2, (sum[0] - luma) / out.map.r_cr, truncate));
    }
}

} // namespace svr

using namespace svr;

static frame_view view_of(const svr_video_info *info, const svr_frame *frame)
{
    const svr_pixel_layout *layout = svr_pixel_layout_of(info->format);
    frame_view view = {};

    view.map = svr_code_map_of(info);
    for (int c = 0; c < SVR_MAX_CHANNELS; c++)
        if (layout->channel[c].depth > 0)
            view.channel[c] = svr_frame_samples(info, frame, c);
    view.width = info->width;
    view.height = info->height;
    view.w_sub = layout->w_sub;
    view.h_sub = layout->h_sub;
    view.h_cosited = info->color.chroma_h_cosited;
    view.v_cosited = info->color.chroma_v_cosited;
    view.fourth = layout->channel[3].depth > 0;
    view.alpha = layout->alpha;
    return view;
}

/* Grey is read as three equal colours. */
static void repeat_luma(frame_view *view)
{
    for (int c = 1; c < 3; c++) {
        view->channel[c] = view->channel[0];
        view->map.offset[c] = view->map.offset[0];
        view->map.scale[c] = view->map.scale[0];
    }
}

/* How chroma lies along an axis. */
enum chroma_axis { CHROMA_FULL, CHROMA_BETWEEN, CHROMA_COSITED, CHROMA_AXES };

static chroma_axis axis_of(int sub, bool cosited)
{
    return sub == 0 ? CHROMA_FULL : cosited ? CHROMA_COSITED : CHROMA_BETWEEN;
}

typedef void (*unpack_kernel)(frame_view in, float *rgb, float *alpha);
typedef void (*pack_kernel)(frame_view out, bool truncate, const float *rgb);

/* The chroma kernels of a word by their taps, and how many taps an axis takes. */
template <typename Word> struct unpack_yuv_kernels {
    enum { BETWEEN = 3, COSITED = 2 };
    typedef unpack_kernel kernel;
    template <int ROWS, int COLUMNS>
    static constexpr kernel of = unpack_yuv_kernel<Word, ROWS, COLUMNS>;
};

template <typename Word> struct pack_chroma_kernels {
    enum { BETWEEN = 2, COSITED = 5 };
    typedef pack_kernel kernel;
    template <int ROWS, int COLUMNS>
    static constexpr kernel of = pack_chroma_kernel<Word, ROWS, COLUMNS>;
};

/* [rows][columns]; chroma that is coarser in rows alone does not exist. */
template <typename K> static typename K::kernel chroma_kernel_for(const frame_view &view)
{
    enum { BETWEEN = K::BETWEEN, COSITED = K::COSITED };
    static const typename K::kernel kernels[CHROMA_AXES][CHROMA_AXES] = {
        {K::template of<1, 1>, K::template of<1, BETWEEN>, K::template of<1, COSITED>},
        {NULL, K::template of<BETWEEN, BETWEEN>, K::template of<BETWEEN, COSITED>},
        {NULL, K::template of<COSITED, BETWEEN>, K::template of<COSITED, COSITED>}};

    return kernels[axis_of(view.h_sub, view.v_cosited)][axis_of(view.w_sub, view.h_cosited)];
}

template <typename Word> static unpack_kernel unpack_kernel_for(const frame_view &view, bool yuv)
{
    return yuv ? chroma_kernel_for<unpack_yuv_kernels<Word>>(view) : unpack_rgb_kernel<Word>;
}

svr_status svr_cuda_unpack(svr_exec *exec, const svr_unpack_args *args, void *workspace,
                           svr_error *err)
{
    const svr_pixel_layout *layout = svr_pixel_layout_of(args->info.format);
    bool yuv = layout->kind == SVR_KIND_YUV;
    frame_view view = view_of(&args->info, &args->frame);
    unpack_kernel kernel = layout->word == 1   ? unpack_kernel_for<uint8_t>(view, yuv)
                           : layout->word == 2 ? unpack_kernel_for<uint16_t>(view, yuv)
                                               : unpack_rgb_kernel<uint32_t>;

    (void) workspace;
    if (layout->kind == SVR_KIND_GRAY)
        repeat_luma(&view);
    kernel<<<grid_of_rows(view.width, view.height), PIXEL_THREADS, 0, svr_cuda_of(exec)->stream>>>(
        view, (float *) args->rgb.data, (float *) args->alpha.data);
    return svr_cuda_launched("unpack", err);
}

/* Luma and, where the format has it, chroma. */
template <typename Word>
static svr_status pack_yuv(const svr_pack_args *args, cudaStream_t stream, svr_error *err)
{
    frame_view view = view_of(&args->info, &args->frame);
    const svr_samples *chroma = &view.channel[1];
    const float *rgb = (const float *) args->rgb.data;

    pack_luma_kernel<Word><<<grid_of_rows(view.width, view.height), PIXEL_THREADS, 0, stream>>>(
        view, args->truncate, rgb);
    SVR_TRY(svr_cuda_launched("pack of luma", err));
    if (!svr_pixel_is_yuv(args->info.format))
        return SVR_OK;
    chroma_kernel_for<pack_chroma_kernels<Word>>(
        view)<<<grid_of_rows(chroma->width, chroma->height), PIXEL_THREADS, 0, stream>>>(
        view, args->truncate, rgb);
    return svr_cuda_launched("pack of chroma", err);
}

template <typename Word>
static svr_status pack_rgb(const svr_pack_args *args, cudaStream_t stream, svr_error *err)
{
    frame_view view = view_of(&args->info, &args->frame);

    pack_rgb_kernel<Word><<<grid_of_rows(view.width, view.height), PIXEL_THREADS, 0, stream>>>(
        view, args->truncate, (const float *) args->rgb.data,
        view.alpha ? (const float *) args->alpha.data : NULL);
    return svr_cuda_launched("pack", err);
}

svr_status svr_cuda_pack(svr_exec *exec, const svr_pack_args *args, void *workspace, svr_error *err)
{
    cudaStream_t stream = svr_cuda_of(exec)->stream;
    const svr_pixel_layout *layout = svr_pixel_layout_of(args->info.format);

    (void) workspace;
    if (layout->kind != SVR_KIND_RGB)
        return layout->word == 1 ? pack_yuv<uint8_t>(args, stream, err)
                                 : pack_yuv<uint16_t>(args, stream, err);
    if (layout->word == 1)
        return pack_rgb<uint8_t>(args, stream, err);
    return layout->word == 2 ? pack_rgb<uint16_t>(args, stream, err)
                             : pack_rgb<uint32_t>(args, stream, err);
}
