/* base/tensor and base/frame: sizes, sub-views, descriptions and plane layouts by hand. */
#include "base/frame.h"
#include "base/tensor.h"

#include "check.h"

#include <string.h>

static void test_tensor_sizes(void)
{
    float data[120];
    svr_tensor t = svr_tensor_4d(data, SVR_F32, 2, 3, 4, 5), empty = {0};

    CHECK(t.rank == 4 && t.dims[0] == 2 && t.dims[3] == 5 && t.data == data);
    CHECK(svr_tensor_elems(&t) == 120 && svr_tensor_bytes(&t) == 480);
    CHECK(svr_tensor_present(&t) && !svr_tensor_present(&empty));
    CHECK(svr_tensor_elems(&empty) == 1);
    t = svr_tensor_1d(data, SVR_F16, 7);
    CHECK(t.rank == 1 && svr_tensor_bytes(&t) == 14);
    t = svr_tensor_2d(data, SVR_U8, 1 << 20, 1 << 20);
    CHECK(svr_tensor_elems(&t) == (int64_t) 1 << 40);
    t = svr_tensor_3d(data, SVR_I64, 2, 0, 4);
    CHECK(svr_tensor_elems(&t) == 0);
}

static void test_tensor_slice(void)
{
    char data[480];
    svr_tensor t = svr_tensor_4d(data, SVR_F32, 2, 3, 4, 5);
    svr_tensor s = svr_tensor_slice(&t, 1, 1), none = svr_tensor_slice(&t, 2, 0);
    svr_tensor flat = svr_tensor_as_2d(&t, 6, 20);

    CHECK((char *) s.data == data + 240 && s.dims[0] == 1 && s.dims[1] == 3 && s.rank == 4);
    CHECK((char *) none.data == data + 480 && svr_tensor_elems(&none) == 0);
    CHECK(flat.rank == 2 && flat.dims[0] == 6 && flat.dims[1] == 20 && flat.data == data);
}

static void test_tensor_shapes(void)
{
    svr_tensor a = svr_tensor_2d(NULL, SVR_F32, 2, 3), b = svr_tensor_2d(NULL, SVR_F16, 2, 3);
    svr_tensor c = svr_tensor_2d(NULL, SVR_F32, 3, 2), d = svr_tensor_3d(NULL, SVR_F32, 2, 3, 1);

    CHECK(svr_tensor_same_shape(&a, &b));
    CHECK(!svr_tensor_same_shape(&a, &c) && !svr_tensor_same_shape(&a, &d));
}

static void test_tensor_describe(void)
{
    svr_tensor t = svr_tensor_4d(NULL, SVR_F32, 5, 48, 64, 3), scalar = {.dtype = SVR_BF16};
    char text[64], small[10];

    CHECK(strcmp(svr_tensor_describe(&t, text, sizeof text), "f32 [5, 48, 64, 3]") == 0);
    CHECK(strcmp(svr_tensor_describe(&scalar, text, sizeof text), "bf16 []") == 0);
    CHECK(strcmp(svr_tensor_describe(&t, small, sizeof small), "f32 [5, 4") == 0);
}

static svr_video_info info_of(svr_pixel_format format, int width, int height)
{
    return (svr_video_info){.format = format, .width = width, .height = height};
}

static void test_frame_layouts(void)
{
    svr_video_info rgb = info_of(SVR_PIXEL_RGB, 5, 3), bgra = info_of(SVR_PIXEL_BGRA, 5, 3);
    svr_video_info nv12 = info_of(SVR_PIXEL_NV12, 5, 3), i420 = info_of(SVR_PIXEL_I420, 5, 3);

    CHECK(svr_frame_bytes(&rgb) == 45 && svr_frame_bytes(&bgra) == 60);
    CHECK(svr_frame_bytes(&nv12) == 15 + 2 * 6 && svr_frame_bytes(&i420) == 15 + 2 * 3 + 2 * 3);
    CHECK(svr_plane_row_bytes(&nv12, 1) == 6 && svr_plane_rows(&nv12, 1) == 2);
    CHECK(svr_plane_row_bytes(&i420, 2) == 3 && svr_plane_rows(&i420, 0) == 3);
    CHECK(svr_pixel_planes(SVR_PIXEL_XBGR) == 1 && svr_pixel_planes(SVR_PIXEL_NV12) == 2);
    CHECK(svr_pixel_planes(SVR_PIXEL_I420) == 3);
}

/* The kinds follow from the names. */
static void test_pixel_kinds(void)
{
    for (int f = 0; f < SVR_PIXEL_FORMAT_COUNT; f++) {
        svr_pixel_format format = (svr_pixel_format) f;
        const char *name = svr_pixel_layout_of(format)->name;
        bool rgb = strchr(name, 'G') && strncmp(name, "GRAY", 4) != 0;

        CHECK(svr_pixel_has_alpha(format) == (strchr(name, 'A') && rgb));
        CHECK(svr_pixel_is_yuv(format) == (!rgb && strncmp(name, "GRAY", 4) != 0));
        for (int other = 0; other < f; other++)
            CHECK(strcmp(svr_pixel_layout_of((svr_pixel_format) other)->name, name) != 0);
    }
}

/* Words of two bytes, chroma that is coarser in one direction, pairs of pixels. */
static void test_wide_layouts(void)
{
    svr_video_info p010 = info_of(SVR_PIXEL_P010, 5, 3), i422 = info_of(SVR_PIXEL_I422_10, 5, 3);
    svr_video_info gbr = info_of(SVR_PIXEL_GBR, 5, 3), gray = info_of(SVR_PIXEL_GRAY16, 5, 3);
    svr_video_info rgba64 = info_of(SVR_PIXEL_RGBA64, 5, 3);
    svr_video_info yuy2 = info_of(SVR_PIXEL_YUY2, 5, 3);
    uint8_t data[54];
    svr_frame f = svr_frame_packed(&p010, data);
    svr_samples v = svr_frame_samples(&p010, &f, 2);

    CHECK(svr_frame_bytes(&p010) == 30 + 2 * 12 && svr_plane_row_bytes(&p010, 1) == 12);
    CHECK(svr_frame_bytes(&i422) == 30 + 2 * 3 * 6 && svr_plane_rows(&i422, 2) == 3);
    CHECK(svr_frame_bytes(&gbr) == 45 && svr_frame_bytes(&gray) == 30);
    CHECK(svr_frame_bytes(&rgba64) == 120);
    CHECK(svr_frame_bytes(&yuy2) == 3 * 12 && svr_plane_row_bytes(&yuy2, 0) == 12);
    CHECK(v.data == data + 32 && v.stride == 12 && v.width == 3 && v.height == 2);
    CHECK(v.word == 2 && v.step == 4 && v.shift == 6 && v.top == 1023);
}

static void test_frame_packed(void)
{
    svr_video_info info = info_of(SVR_PIXEL_I420, 5, 3);
    uint8_t data[27];
    svr_frame f = svr_frame_packed(&info, data);

    CHECK(f.plane[0] == data && f.plane[1] == data + 15 && f.plane[2] == data + 21);
    CHECK(f.stride[0] == 5 && f.stride[1] == 3 && f.stride[2] == 3);
}

/* From packed rows to padded ones, and to bottom-up ones; padding stays as it was. */
static void test_frame_copy(void)
{
    svr_video_info info = info_of(SVR_PIXEL_RGB, 2, 2);
    uint8_t src[12], padded[20], flipped[12];
    svr_frame from = svr_frame_packed(&info, src);
    svr_frame to = {.plane = {padded}, .stride = {10}};
    svr_frame up = {.plane = {flipped + 6}, .stride = {-6}};

    for (int i = 0; i < 12; i++)
        src[i] = (uint8_t) (i + 1);
    memset(padded, 99, sizeof padded);
    svr_frame_copy(&info, &to, &from);
    CHECK(memcmp(padded, src, 6) == 0 && memcmp(padded + 10, src + 6, 6) == 0);
    CHECK(padded[6] == 99 && padded[9] == 99 && padded[16] == 99);
    svr_frame_copy(&info, &up, &from);
    CHECK(memcmp(flipped + 6, src, 6) == 0 && memcmp(flipped, src + 6, 6) == 0);
}

int main(void)
{
    RUN(test_tensor_sizes);
    RUN(test_tensor_slice);
    RUN(test_tensor_shapes);
    RUN(test_tensor_describe);
    RUN(test_frame_layouts);
    RUN(test_pixel_kinds);
    RUN(test_wide_layouts);
    RUN(test_frame_packed);
    RUN(test_frame_copy);
    return check_done();
}
