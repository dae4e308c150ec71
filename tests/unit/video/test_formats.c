/* Integers to unit values and back: formats, matrices, ranges, chroma sitings.  That each way
 * follows its definition is tested in tests/ops. */
#include "backend/ops.h"
#include "check.h"
#include "fixture.h"
#include "golden.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

enum { MATRICES = 4, COLORIMETRIES = MATRICES * 2 * 4 };

/* BT.601, BT.709, BT.2020, SMPTE 240M; both ranges; all sitings. */
static svr_colorimetry colorimetry(int index)
{
    static const double weights[MATRICES][2] = {
        {0.299, 0.114}, {0.2126, 0.0722}, {0.2627, 0.0593}, {0.212, 0.087}};
    int matrix = index % MATRICES, rest = index / MATRICES;

    return (svr_colorimetry){.kr = weights[matrix][0],
                             .kb = weights[matrix][1],
                             .full_range = rest & 1,
                             .chroma_h_cosited = (rest & 2) != 0,
                             .chroma_v_cosited = (rest & 4) != 0};
}

/* A frame with its unit values. */
typedef struct picture {
    svr_video_info info;
    uint8_t *bytes, *packed; /* as given, and as it came back */
    svr_tensor rgb, alpha;
} picture;

static picture picture_new(svr_pixel_format format, int width, int height, int color)
{
    picture p = {.info = {format, width, height, colorimetry(color)}};
    size_t bytes = svr_frame_bytes(&p.info);

    p.bytes = calloc(1, bytes);
    p.packed = calloc(1, bytes);
    p.rgb = fixture_floats(3, (int64_t[]){height, width, 3});
    p.alpha = fixture_floats(2, (int64_t[]){height, width});
    CHECK(p.bytes && p.packed);
    return p;
}

static void picture_free(picture *p)
{
    free(p->bytes);
    free(p->packed);
    free(p->rgb.data);
    free(p->alpha.data);
}

static void unpack(fixture *f, picture *p)
{
    svr_error err = {0};
    svr_unpack_args args = {.info = p->info,
                            .frame = svr_frame_packed(&p->info, p->bytes),
                            .rgb = p->rgb,
                            .alpha = p->alpha};

    CHECK_OK(svr_op_unpack(&f->exec, &args, &err), err);
}

static void pack(fixture *f, picture *p, bool truncate)
{
    svr_error err = {0};
    svr_pack_args args = {.info = p->info,
                          .frame = svr_frame_packed(&p->info, p->packed),
                          .rgb = p->rgb,
                          .alpha = p->alpha,
                          .truncate = truncate};

    CHECK_OK(svr_op_pack(&f->exec, &args, &err), err);
}

static void to_model(picture *p)
{
    for (int64_t i = 0; i < svr_tensor_elems(&p->rgb); i++)
        ((float *) p->rgb.data)[i] = 2.0f * ((float *) p->rgb.data)[i] - 1.0f;
}

static void round_trip(fixture *f, picture *p)
{
    unpack(f, p);
    to_model(p);
    pack(f, p, false);
}

static const svr_pixel_format packed_formats[] = {
    SVR_PIXEL_RGB,  SVR_PIXEL_BGR,  SVR_PIXEL_RGBA, SVR_PIXEL_BGRA, SVR_PIXEL_ARGB,
    SVR_PIXEL_ABGR, SVR_PIXEL_RGBX, SVR_PIXEL_BGRX, SVR_PIXEL_XRGB, SVR_PIXEL_XBGR};
static const svr_pixel_format yuv_formats[] = {SVR_PIXEL_NV12, SVR_PIXEL_I420};

enum {
    PACKED_FORMATS = sizeof packed_formats / sizeof packed_formats[0],
    YUV_FORMATS = sizeof yuv_formats / sizeof yuv_formats[0]
};

/* Letters of the formats in memory order, to find channels independently of the code under test. */
static const char *letters(svr_pixel_format format)
{
    static const char *const names[] = {"RGB",  "BGR",  "RGBA", "BGRA", "ARGB",
                                        "ABGR", "RGBX", "BGRX", "XRGB", "XBGR"};

    return names[format];
}

static void check_packed_pixel(const picture *p, int64_t pixel)
{
    const char *names = letters(p->info.format);
    const uint8_t *bytes = p->bytes + pixel * (int64_t) strlen(names);
    const float *rgb = (const float *) p->rgb.data + 3 * pixel;
    bool has_alpha = strchr(names, 'A') != NULL;

    for (int c = 0; c < 3; c++)
        CHECK(rgb[c] == (float) bytes[strchr(names, "RGB"[c]) - names] / 255.0f);
    CHECK(((const float *) p->alpha.data)[pixel] ==
          (has_alpha ? (float) bytes[strchr(names, 'A') - names] / 255.0f : 1.0f));
}

static void test_packed_formats(void)
{
    test_random random = test_random_seed(1);

    for (int i = 0; i < PACKED_FORMATS; i++) {
        fixture f = fixture_open();
        picture p = picture_new(packed_formats[i], 19, 7, 0);
        size_t bytes = svr_frame_bytes(&p.info);
        const char *filler = strchr(letters(p.info.format), 'X');

        for (size_t b = 0; b < bytes; b++)
            p.bytes[b] = filler && (ptrdiff_t) b % 4 == filler - letters(p.info.format)
                             ? 255
                             : (uint8_t) test_random_below(&random, 256);
        unpack(&f, &p);
        for (int64_t pixel = 0; pixel < 19 * 7; pixel++)
            check_packed_pixel(&p, pixel);
        to_model(&p);
        pack(&f, &p, false);
        CHECK(memcmp(p.bytes, p.packed, bytes) == 0);
        picture_free(&p);
        fixture_close(&f);
    }
}

static void set_chroma(picture *p, int u, int v)
{
    svr_frame frame = svr_frame_packed(&p->info, p->bytes);
    int area = (p->info.width + 1) / 2 * ((p->info.height + 1) / 2);

    for (int i = 0; i < area; i++) {
        if (p->info.format == SVR_PIXEL_NV12) {
            frame.plane[1][2 * i] = (uint8_t) u;
            frame.plane[1][2 * i + 1] = (uint8_t) v;
        } else {
            frame.plane[1][i] = (uint8_t) u;
            frame.plane[2][i] = (uint8_t) v;
        }
    }
}

/* Luma counts up from `lo` to `hi`, over and over. */
static void set_luma(picture *p, int lo, int hi)
{
    for (int i = 0; i < p->info.width * p->info.height; i++)
        p->bytes[i] = (uint8_t) (lo + i % (hi - lo + 1));
}

/* Every grey code and every flat colour comes back bit by bit, whatever the matrix, range, siting
 * and however odd the size. */
static void test_flat_chroma_survives(void)
{
    static const int sizes[][2] = {{37, 11}, {16, 16}, {1, 300}, {255, 2}};
    static const int chroma[][2] = {{128, 128}, {118, 143}, {140, 115}, {131, 120}};

    for (int i = 0; i < COLORIMETRIES * YUV_FORMATS * 4 * 4; i++) {
        int color = i % COLORIMETRIES, format = i / COLORIMETRIES % YUV_FORMATS;
        int size = i / COLORIMETRIES / YUV_FORMATS % 4, c = i / COLORIMETRIES / YUV_FORMATS / 4;
        bool grey = c == 0, full = colorimetry(color).full_range;
        fixture f = fixture_open();
        picture p = picture_new(yuv_formats[format], sizes[size][0], sizes[size][1], color);

        set_luma(&p, grey ? (full ? 0 : 16) : 80, grey ? (full ? 255 : 235) : 170);
        set_chroma(&p, chroma[c][0], chroma[c][1]);
        round_trip(&f, &p);
        CHECK(memcmp(p.bytes, p.packed, svr_frame_bytes(&p.info)) == 0);
        picture_free(&p);
        fixture_close(&f);
    }
}

static int chroma_at(const picture *p, int plane, int x, int y)
{
    svr_frame frame = svr_frame_packed(&p->info, p->bytes);
    int w = (p->info.width + 1) / 2, h = (p->info.height + 1) / 2;

    x = x < 0 ? 0 : x >= w ? w - 1 : x;
    y = y < 0 ? 0 : y >= h ? h - 1 : y;
    if (p->info.format == SVR_PIXEL_NV12)
        return frame.plane[1][2 * (y * w + x) + plane];
    return frame.plane[1 + plane][y * w + x];
}

static void randomise(picture *p, test_random *random, int luma, int chroma)
{
    size_t area = (size_t) p->info.width * (size_t) p->info.height;

    for (size_t i = 0; i < svr_frame_bytes(&p->info); i++) {
        int spread = i < area ? luma : chroma;

        p->bytes[i] = (uint8_t) (128 - spread + test_random_below(random, 2 * spread));
    }
}

/* Foot- and headroom of the video range lie beyond [0,1] and are kept; full range has none. */
static void test_foot_and_headroom(void)
{
    for (int full = 0; full < 2; full++) {
        fixture f = fixture_open();
        picture p = picture_new(SVR_PIXEL_I420, 256, 1, full * MATRICES);
        const float *rgb = p.rgb.data;

        set_luma(&p, 0, 255);
        set_chroma(&p, 128, 128);
        unpack(&f, &p);
        for (int i = 0; i < 3 * 256; i++)
            CHECK_NEAR(rgb[i], full ? i / 3 / 255.0 : (i / 3 - 16) / 219.0, 1e-6);
        picture_free(&p);
        fixture_close(&f);
    }
}

/* The chroma that unpacking puts in cancels in luma, which so survives any chroma inside the gamut.
 */
static void test_luma_survives(void)
{
    test_random random = test_random_seed(4);

    for (int i = 0; i < COLORIMETRIES * YUV_FORMATS; i++) {
        fixture f = fixture_open();
        picture p = picture_new(yuv_formats[i / COLORIMETRIES], 31, 17, i % COLORIMETRIES);

        randomise(&p, &random, 50, 16);
        round_trip(&f, &p);
        CHECK(memcmp(p.bytes, p.packed, 31 * 17) == 0);
        picture_free(&p);
        fixture_close(&f);
    }
}

/* Linear up and matching averages down: a chroma slope stays in its place, off the borders. */
static void test_chroma_slopes_survive(void)
{
    enum { W = 48, H = 32 };

    for (int i = 0; i < COLORIMETRIES * YUV_FORMATS; i++) {
        fixture f = fixture_open();
        picture p = picture_new(yuv_formats[i / COLORIMETRIES], W, H, i % COLORIMETRIES);
        picture out = p;
        svr_frame frame = svr_frame_packed(&p.info, p.bytes);
        bool nv12 = p.info.format == SVR_PIXEL_NV12;

        out.bytes = p.packed;
        set_luma(&p, 128, 128);
        for (int k = 0; k < W / 2 * (H / 2); k++) {
            frame.plane[1][nv12 ? 2 * k : k] = (uint8_t) (116 + k % (W / 2));
            frame.plane[nv12 ? 1 : 2][nv12 ? 2 * k + 1 : k] = (uint8_t) (120 + k / (W / 2));
        }
        round_trip(&f, &p);
        for (int y = 1; y < H / 2 - 1; y++)
            for (int x = 1; x < W / 2 - 1; x++)
                for (int plane = 0; plane < 2; plane++)
                    CHECK(chroma_at(&out, plane, x, y) == chroma_at(&p, plane, x, y));
        picture_free(&p);
        fixture_close(&f);
    }
}

/* Rows may be further apart than they are long, and bytes between them belong to somebody else. */
static void test_strides(void)
{
    enum { W = 5, H = 3, STRIDE = 29 };
    fixture f = fixture_open();
    svr_error err = {0};
    svr_video_info info = {SVR_PIXEL_BGRA, W, H, colorimetry(0)};
    uint8_t in[H * STRIDE], out[H * STRIDE];
    svr_frame upside_down = {{in + (H - 1) * STRIDE}, {-STRIDE}}, frame = {{out}, {STRIDE}};
    svr_tensor rgb = fixture_floats(3, (int64_t[]){H, W, 3});
    svr_tensor alpha = fixture_floats(2, (int64_t[]){H, W});

    for (int i = 0; i < H * STRIDE; i++)
        in[i] = (uint8_t) (2 * i);
    memset(out, 77, sizeof out);
    CHECK_OK(svr_op_unpack(&f.exec, &(svr_unpack_args){info, upside_down, rgb, alpha}, &err), err);
    for (int i = 0; i < H * W * 3; i++)
        ((float *) rgb.data)[i] = 2.0f * ((float *) rgb.data)[i] - 1.0f;
    CHECK_OK(svr_op_pack(&f.exec, &(svr_pack_args){info, frame, rgb, alpha, false}, &err), err);
    for (int y = 0; y < H; y++) {
        CHECK(memcmp(out + y * STRIDE, in + (H - 1 - y) * STRIDE, 4 * W) == 0);
        for (int x = 4 * W; x < STRIDE; x++)
            CHECK(out[y * STRIDE + x] == 77);
    }
    free(rgb.data);
    free(alpha.data);
    fixture_close(&f);
}

static void test_quantiser(void)
{
    static const char *const names[] = {"quant.bytedance", "quant.numz"};
    svr_safetensors *file = golden_open(data_dir, "pipe_tables");
    svr_tensor in = fixture_values(file, "", "quant.in");
    int n = (int) in.dims[0];

    for (int truncate = 0; truncate < 2; truncate++) {
        fixture f = fixture_open();
        picture p = picture_new(SVR_PIXEL_RGB, n, 1, 0);
        svr_tensor want = fixture_values(file, "", names[truncate]);

        for (int i = 0; i < 3 * n; i++)
            ((float *) p.rgb.data)[i] = ((const float *) in.data)[i / 3];
        pack(&f, &p, truncate);
        for (int i = 0; i < 3 * n; i++)
            CHECK(p.packed[i] == ((const uint8_t *) want.data)[i / 3]);
        free(want.data);
        picture_free(&p);
        fixture_close(&f);
    }
    free(in.data);
    svr_safetensors_close(file);
}

/* Halves go to the even neighbour; what is no number becomes a code nevertheless. */
static void test_ties_and_odd_values(void)
{
    static const float values[] = {-1e30f, 1e30f, NAN, INFINITY, -INFINITY};
    static const uint8_t codes[] = {0, 255, 0, 255, 0};
    fixture f = fixture_open();
    picture p = picture_new(SVR_PIXEL_RGB, 5, 1, 0);
    picture alpha = picture_new(SVR_PIXEL_RGBA, 4, 1, 0);

    for (int i = 0; i < 15; i++)
        ((float *) p.rgb.data)[i] = values[i / 3];
    pack(&f, &p, false);
    for (int i = 0; i < 15; i++)
        CHECK(p.packed[i] == codes[i / 3]);
    for (int i = 0; i < 4; i++)
        ((float *) alpha.alpha.data)[i] = (float) i / 255.0f + 0.5f / 255.0f;
    pack(&f, &alpha, false);
    for (int i = 0; i < 4; i++)
        CHECK(alpha.packed[4 * i + 3] == (i + 1) / 2 * 2);
    picture_free(&alpha);
    picture_free(&p);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    data_dir = argc > 1 ? argv[1] : "tests/data";
    RUN(test_packed_formats);
    RUN(test_flat_chroma_survives);
    RUN(test_foot_and_headroom);
    RUN(test_luma_survives);
    RUN(test_chroma_slopes_survive);
    RUN(test_strides);
    RUN(test_quantiser);
    RUN(test_ties_and_odd_values);
    return check_done();
}
