/* The way of a frame through the engine with the model left out: unpack, model values, pack.  Every
 * format, matrix, range and siting must give the same codes again; codes that mean no R'G'B' in
 * [0,1] must come back as the nearest that does.  That each step follows its definition, and where
 * samples lie, is tested in tests/ops. */
#include "backend/cuda_options.h"
#include "backend/ops.h"
#include "check.h"
#include "pipeline/backends.h"
#include "random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MATRICES = 5, RANGES = 2, SITINGS = 4 };

/* BT.601, BT.709, BT.2020, SMPTE 240M, FCC. */
static const double weights[MATRICES][2] = {
    {0.299, 0.114}, {0.2126, 0.0722}, {0.2627, 0.0593}, {0.212, 0.087}, {0.30, 0.11}};

static svr_colorimetry colorimetry(int matrix, int range, int siting)
{
    return (svr_colorimetry){.kr = weights[matrix][0],
                             .kb = weights[matrix][1],
                             .full_range = range == 1,
                             .limited_rgb = range == 1,
                             .chroma_h_cosited = (siting & 1) != 0,
                             .chroma_v_cosited = (siting & 2) != 0};
}

/* ---------------------------------------------------------------------------- device */

enum { SCRATCH_BYTES = 8 << 20 };

static struct {
    svr_backend *backend;
    void *memory;
    svr_exec exec;
} rig;

static void rig_open(svr_backend *backend)
{
    svr_error err = {0};

    rig.backend = rig.exec.backend = backend;
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, SCRATCH_BYTES, &rig.memory, &err), err);
    rig.exec.scratch = svr_scratch_create(rig.memory, SCRATCH_BYTES);
    CHECK(rig.exec.scratch != NULL);
}

static void rig_close(void)
{
    svr_scratch_destroy(rig.exec.scratch);
    svr_backend_free(rig.backend, SVR_MEM_SCRATCH, SCRATCH_BYTES, rig.memory);
    CHECK(svr_backend_memory(rig.backend).live_total == 0);
    svr_backend_destroy(rig.backend);
}

/* ---------------------------------------------------------------------------- frames */

typedef struct picture {
    svr_video_info info;
    const svr_pixel_layout *layout;
    uint8_t *in, *out;
    svr_samples from[SVR_MAX_CHANNELS], to[SVR_MAX_CHANNELS];
} picture;

static picture picture_new(svr_video_info info)
{
    picture p = {.info = info, .layout = svr_pixel_layout_of(info.format)};
    size_t bytes = svr_frame_bytes(&info);
    svr_frame in, out;

    p.in = calloc(1, bytes);
    p.out = calloc(1, bytes);
    CHECK(p.in && p.out);
    in = svr_frame_packed(&info, p.in);
    out = svr_frame_packed(&info, p.out);
    for (int c = 0; c < SVR_MAX_CHANNELS && p.layout->channel[c].depth > 0; c++) {
        p.from[c] = svr_frame_samples(&info, &in, c);
        p.to[c] = svr_frame_samples(&info, &out, c);
    }
    return p;
}

static void picture_free(picture *p)
{
    free(p->in);
    free(p->out);
}

static uint32_t word_at(const svr_samples *s, int i)
{
    uint32_t word = 0;

    memcpy(&word, s->data + i / s->width * s->stride + (ptrdiff_t) (i % s->width) * s->step,
           (size_t) s->word);
    return s->big_endian ? (word & 255) << 8 | word >> 8 : word;
}

static uint32_t code_at(const svr_samples *s, int i)
{
    return word_at(s, i) >> s->shift & s->top;
}

static void put(const svr_samples *s, int i, uint32_t code)
{
    uint32_t word = (word_at(s, i) & ~(s->top << s->shift)) | code << s->shift;

    if (s->big_endian)
        word = (word & 255) << 8 | word >> 8;
    memcpy(s->data + i / s->width * s->stride + (ptrdiff_t) (i % s->width) * s->step, &word,
           (size_t) s->word);
}

static int samples(const svr_samples *s)
{
    return s->width * s->height;
}

static svr_tensor device_tensor(svr_dtype dtype, int rank, const int64_t *dims)
{
    svr_tensor t;
    svr_error err = {0};

    CHECK_OK(svr_exec_alloc(&rig.exec, dtype, rank, dims, &t, &err), err);
    return t;
}

static void run(picture *p)
{
    int64_t h = p->info.height, w = p->info.width, bytes = (int64_t) svr_frame_bytes(&p->info);
    svr_tensor in = device_tensor(SVR_U8, SVR_DIMS(bytes));
    svr_tensor out = device_tensor(SVR_U8, SVR_DIMS(bytes));
    svr_tensor unit = device_tensor(SVR_F32, SVR_DIMS(1, h, w, 3));
    svr_tensor model = device_tensor(SVR_F32, SVR_DIMS(1, h, w, 3));
    svr_unpack_args unpack = {p->info, svr_frame_packed(&p->info, in.data),
                              svr_tensor_3d(unit.data, SVR_F32, h, w, 3),
                              device_tensor(SVR_F32, SVR_DIMS(h, w))};
    svr_pack_args pack = {p->info, svr_frame_packed(&p->info, out.data),
                          svr_tensor_3d(model.data, SVR_F32, h, w, 3), unpack.alpha, false};
    svr_error err = {0};

    CHECK_OK(svr_backend_upload(rig.backend, in.data, p->in, (size_t) bytes, &err), err);
    CHECK_OK(svr_op_unpack(&rig.exec, &unpack, &err), err);
    CHECK_OK(svr_op_to_model(&rig.exec, &(svr_to_model_args){.x = unit, .y = model}, &err), err);
    CHECK_OK(svr_op_pack(&rig.exec, &pack, &err), err);
    CHECK_OK(svr_backend_download(rig.backend, p->out, out.data, (size_t) bytes, &err), err);
    svr_scratch_reset(rig.exec.scratch);
}

/* A pair of pixels that the border cuts has a byte of no sample, where anything may be. */
static void forget_spare_bytes(const picture *p)
{
    const svr_samples *luma = &p->to[0];
    ptrdiff_t spare = (ptrdiff_t) luma->width * luma->step;

    if (p->layout->planes > 1 || p->layout->kind != SVR_KIND_YUV || luma->width % 2 == 0)
        return;
    for (int y = 0; y < luma->height; y++)
        luma->data[y * luma->stride + spare] = p->from[0].data[y * luma->stride + spare];
}

static void check_same(const picture *p)
{
    forget_spare_bytes(p);
    if (memcmp(p->in, p->out, svr_frame_bytes(&p->info)) == 0)
        return;
    for (int c = 0; c < SVR_MAX_CHANNELS && p->layout->channel[c].depth > 0; c++)
        for (int i = 0; i < samples(&p->from[c]); i++)
            if (code_at(&p->from[c], i) != code_at(&p->to[c], i))
                printf("# %s channel %d sample %d: %u came back as %u\n", p->layout->name, c, i,
                       code_at(&p->from[c], i), code_at(&p->to[c], i));
    CHECK(!"the same codes");
}

/* ---------------------------------------------------------------------------- values */

static bool is_full(const picture *p)
{
    return p->layout->kind == SVR_KIND_RGB ? !p->info.color.limited_rgb : p->info.color.full_range;
}

/* The code of luma or a colour, not rounded; of chroma. */
static double code_of(const picture *p, double value)
{
    double eighth = ldexp(1, p->layout->channel[0].depth - 8);

    return is_full(p) ? value * (256 * eighth - 1) : (16 + 219 * value) * eighth;
}

static double chroma_code_of(const picture *p, double value)
{
    double eighth = ldexp(1, p->layout->channel[0].depth - 8);

    return 128 * eighth + value * (is_full(p) ? 256 * eighth - 1 : 224 * eighth);
}

static double value_of(const picture *p, double code)
{
    return (code - code_of(p, 0)) / (code_of(p, 1) - code_of(p, 0));
}

static double uniform(test_random *random, double lo, double hi)
{
    return lo + (hi - lo) * ldexp((double) (test_random_u64(random) >> 11), -53);
}

static void fill(const picture *p, test_random *random, int channel, double lo, double hi)
{
    bool chroma = p->layout->kind == SVR_KIND_YUV && channel > 0;

    for (int i = 0; i < samples(&p->from[channel]); i++) {
        double v = uniform(random, lo, hi);

        put(&p->from[channel], i, (uint32_t) lrint(chroma ? chroma_code_of(p, v) : code_of(p, v)));
    }
}

/* ---------------------------------------------------------------------------- tests */

typedef void (*picture_test)(picture *p);

/* `test` on all formats of a kind in all colorimetries. */
static void for_all(svr_pixel_kind kind, int width, int height, picture_test test)
{
    for (int i = 0; i < SVR_PIXEL_FORMAT_COUNT * MATRICES * RANGES * SITINGS; i++) {
        int siting = i % SITINGS, range = i / SITINGS % RANGES;
        int matrix = i / SITINGS / RANGES % MATRICES;
        svr_pixel_format format = (svr_pixel_format) (i / SITINGS / RANGES / MATRICES);
        const svr_pixel_layout *layout = svr_pixel_layout_of(format);
        picture p;

        if (layout->kind != kind || (!layout->w_sub && siting & 1) ||
            (!layout->h_sub && siting & 2) || (kind == SVR_KIND_RGB && matrix > 0))
            continue;
        p = picture_new(
            (svr_video_info){format, width, height, colorimetry(matrix, range, siting)});
        test(&p);
        picture_free(&p);
    }
}

/* Any colours between the first and the last code that mean one; any alpha. */
static void any_rgb(picture *p)
{
    test_random random = test_random_seed(1);

    for (int c = 0; c < 3; c++)
        fill(p, &random, c, 0, 1);
    for (int i = 0; p->layout->channel[3].depth > 0 && i < samples(&p->from[3]); i++) {
        uint32_t top = p->from[3].top;

        put(&p->from[3], i,
            p->layout->alpha ? (uint32_t) (test_random_u64(&random) % (top + 1)) : top);
    }
    run(p);
    check_same(p);
}

/* Every code there is, in all three colours and in alpha. */
static void every_rgb_code(picture *p)
{
    uint32_t lowest = (uint32_t) code_of(p, 0), highest = (uint32_t) code_of(p, 1);

    for (int c = 0; c < SVR_MAX_CHANNELS && p->layout->channel[c].depth > 0; c++)
        for (int i = 0; i < samples(&p->from[c]); i++)
            put(&p->from[c], i,
                c < 3 || p->layout->alpha ? (uint32_t) i & p->from[c].top : p->from[c].top);
    run(p);
    for (int c = 0; c < SVR_MAX_CHANNELS && p->layout->channel[c].depth > 0; c++)
        for (int i = 0; i < samples(&p->to[c]); i++) {
            uint32_t had = code_at(&p->from[c], i), got = code_at(&p->to[c], i);

            CHECK(got == (c == 3 ? had : had < lowest ? lowest : had > highest ? highest : had));
        }
}

static void test_rgb(void)
{
    for_all(SVR_KIND_RGB, 37, 23, any_rgb);
    for_all(SVR_KIND_RGB, 256, 256, every_rgb_code);
}

/* Luma of every code, no chroma.  Beyond black and white it is clipped. */
static void every_luma_code(picture *p)
{
    uint32_t lowest = (uint32_t) code_of(p, 0), highest = (uint32_t) code_of(p, 1);

    for (int i = 0; i < samples(&p->from[0]); i++)
        put(&p->from[0], i, (uint32_t) i & p->from[0].top);
    for (int c = 1; c < 3 && p->layout->kind == SVR_KIND_YUV; c++)
        for (int i = 0; i < samples(&p->from[c]); i++)
            put(&p->from[c], i, (p->from[c].top + 1) / 2);
    run(p);
    for (int i = 0; i < samples(&p->to[0]); i++) {
        uint32_t had = code_at(&p->from[0], i), got = code_at(&p->to[0], i);

        CHECK(got == (had < lowest ? lowest : had > highest ? highest : had));
    }
    for (int c = 1; c < 3 && p->layout->kind == SVR_KIND_YUV; c++)
        for (int i = 0; i < samples(&p->to[c]); i++)
            CHECK(code_at(&p->to[c], i) == (p->to[c].top + 1) / 2);
}

static void test_luma(void)
{
    for_all(SVR_KIND_GRAY, 256, 256, every_luma_code);
    for_all(SVR_KIND_YUV, 256, 256, every_luma_code);
}

/* Independent codes in every sample, coarse chroma too, as wild as no overshoot between samples
 * leaves the colours that there are. */
static void any_yuv(picture *p)
{
    test_random random = test_random_seed(2);

    fill(p, &random, 0, 0.3, 0.7);
    fill(p, &random, 1, -0.1, 0.1);
    fill(p, &random, 2, -0.1, 0.1);
    run(p);
    check_same(p);
}

/* The codes of any colour, where each pixel has its own chroma. */
static void any_colour(picture *p)
{
    test_random random = test_random_seed(3);
    double kr = p->info.color.kr, kb = p->info.color.kb, margin = 4.0 / p->from[0].top;

    if (p->layout->w_sub)
        return;
    for (int i = 0; i < samples(&p->from[0]); i++) {
        double r = uniform(&random, margin, 1 - margin), g = uniform(&random, margin, 1 - margin);
        double b = uniform(&random, margin, 1 - margin);
        double y = kr * r + (1 - kr - kb) * g + kb * b;

        put(&p->from[0], i, (uint32_t) lrint(code_of(p, y)));
        put(&p->from[1], i, (uint32_t) lrint(chroma_code_of(p, (b - y) / (2 - 2 * kb))));
        put(&p->from[2], i, (uint32_t) lrint(chroma_code_of(p, (r - y) / (2 - 2 * kr))));
    }
    run(p);
    check_same(p);
}

static void test_yuv(void)
{
    static const int sizes[][2] = {{37, 23}, {16, 8}, {1, 1}, {2, 3}, {5, 1}};

    for (int i = 0; i < 5; i++)
        for_all(SVR_KIND_YUV, sizes[i][0], sizes[i][1], any_yuv);
    for_all(SVR_KIND_YUV, 64, 64, any_colour);
}

static double chroma_value_of(const picture *p, double code)
{
    return (code - chroma_code_of(p, 0)) / (chroma_code_of(p, 1) - chroma_code_of(p, 0));
}

static double clipped(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* Codes of any kind, most of which mean no colour: those of the clipped colour. */
static void any_codes(picture *p)
{
    test_random random = test_random_seed(4);
    double kr = p->info.color.kr, kb = p->info.color.kb, kg = 1 - kr - kb;

    if (p->layout->w_sub)
        return;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < samples(&p->from[c]); i++)
            put(&p->from[c], i, (uint32_t) (test_random_u64(&random) % (p->from[c].top + 1)));
    run(p);
    for (int i = 0; i < samples(&p->from[0]); i++) {
        double y = value_of(p, code_at(&p->from[0], i));
        double r = y + 2 * (1 - kr) * chroma_value_of(p, code_at(&p->from[2], i));
        double b = y + 2 * (1 - kb) * chroma_value_of(p, code_at(&p->from[1], i));
        double g = clipped((y - kr * r - kb * b) / kg);

        r = clipped(r);
        b = clipped(b);
        y = kr * r + kg * g + kb * b;
        CHECK_NEAR(code_at(&p->to[0], i), code_of(p, y), 0.55);
        /* the last code of full range lies half a code below the end of chroma */
        CHECK_NEAR(code_at(&p->to[1], i),
                   fmin(chroma_code_of(p, (b - y) / (2 - 2 * kb)), p->to[1].top), 0.55);
        CHECK_NEAR(code_at(&p->to[2], i),
                   fmin(chroma_code_of(p, (r - y) / (2 - 2 * kr)), p->to[2].top), 0.55);
    }
}

static void test_no_colours(void)
{
    for_all(SVR_KIND_YUV, 32, 32, any_codes);
}

int main(int argc, char **argv)
{
    bool cuda = argc > 1 && strcmp(argv[1], "cuda") == 0;
    svr_cuda_options options = SVR_CUDA_OPTIONS_DEFAULT;
    svr_error err = {0};
    svr_backend *backend = NULL;

    if (svr_backend_open(cuda ? SVR_BACKEND_CUDA : SVR_BACKEND_CPU, 0, &options, NULL, &backend,
                         &err) == SVR_ERR_NO_DEVICE) {
        printf("skipped: %s\n", err.text);
        return CHECK_SKIP;
    }
    CHECK_OK(err.code, err);
    rig_open(backend);
    RUN(test_rgb);
    RUN(test_luma);
    RUN(test_yuv);
    RUN(test_no_colours);
    rig_close();
    return check_done();
}
