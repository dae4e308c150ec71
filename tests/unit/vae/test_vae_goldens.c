/* The VAE against the reference's vectors, in all storage types, whole, in slices and in tiles. */
#include "fixture.h"

#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;

/* Limits of the golden files' manifest. */
typedef struct limits {
    svr_dtype storage;
    double max, rms, tap_max, tap_rms;
} limits;

static const limits f32 = {SVR_F32, 5e-5, 1e-5, 1e-4, 1e-5};
static const limits f16 = {SVR_F16, 2e-2, 5e-3, 5e-2, 5e-3};
static const limits bf16 = {SVR_BF16, 0.15, 4e-2, 0.5, 4e-2};

typedef struct golden_case {
    const char *name;
    size_t taps; /* intermediates in the file */
    svr_vae_cut cut;
} golden_case;

static const golden_case encode_cases[] = {
    {"enc5", 6, {0}},
    {"enc1", 0, {.slice_frames = 4}},
    {"enc9_sliced", 5, {.slice_frames = 4}},
    {"enc13_sliced", 0, {.slice_frames = 4}},
    {"enc5_tiled",
     0,
     {.slice_frames = 4, .tile_h = 32, .tile_w = 40, .overlap_h = 16, .overlap_w = 16}},
};
static const golden_case decode_cases[] = {
    {"dec2", 4, {0}},
    {"dec1", 0, {.slice_frames = 4}},
    {"dec3_sliced", 5, {.slice_frames = 4}},
    {"dec4_sliced", 0, {.slice_frames = 4}},
};

enum {
    ENCODE_CASES = sizeof encode_cases / sizeof encode_cases[0],
    DECODE_CASES = sizeof decode_cases / sizeof decode_cases[0]
};

static svr_safetensors *open_case(const char *name)
{
    char full[64];

    snprintf(full, sizeof full, "vae_a_%s", name);
    return golden_open(data_dir, full);
}

static vae_rig open_rig(svr_dtype storage)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/goldens/vae_a_weights.safetensors", data_dir);
    return rig_open(path, NULL, storage);
}

typedef struct tap_check {
    const svr_safetensors *file;
    const limits *limit;
    size_t seen;
} tap_check;

/* The goldens remember what a strided convolution reads after padding, zeros right and below; the
 * part without them is what is carried here. */
static void drop_padding(float *want, int64_t dims[4], const svr_tensor *value)
{
    int64_t h = value->dims[1], w = value->dims[2], c = dims[3];
    float *to = want;

    for (int64_t t = 0; t < dims[0]; t++)
        for (int64_t y = 0; y < dims[1]; y++)
            for (int64_t x = 0; x < dims[2]; x++) {
                const float *from = want + ((t * dims[1] + y) * dims[2] + x) * c;

                for (int64_t i = 0; i < c && (y >= h || x >= w); i++)
                    CHECK(from[i] == 0.0f);
                if (y >= h || x >= w)
                    continue;
                memmove(to, from, (size_t) c * sizeof *to);
                to += c;
            }
    dims[1] = h;
    dims[2] = w;
}

static svr_status compare_tap(void *user, const char *name, const svr_tensor *value, svr_error *err)
{
    tap_check *check = user;
    size_t n = (size_t) svr_tensor_elems(value);
    float *want, *got;
    int64_t dims[4];
    golden_error d;

    (void) err;
    if (!svr_safetensors_find(check->file, name))
        return SVR_OK;
    want = clip_load(check->file, name, dims);
    if (strstr(name, "downsamplers"))
        drop_padding(want, dims, value);
    CHECK(memcmp(dims, value->dims, sizeof dims) == 0);
    got = malloc(n * sizeof *got);
    CHECK(got != NULL);
    svr_to_f32(value->data, value->dtype, got, n);
    d = golden_compare(got, want, n);
    CHECK_NEAR(d.max, 0, check->limit->tap_max);
    CHECK_NEAR(d.rel_l2, 0, check->limit->tap_rms);
    check->seen++;
    free(want);
    free(got);
    return SVR_OK;
}

static void compare(const char *what, const char *storage, const float *got, const float *want,
                    size_t n, const limits *limit)
{
    golden_error d = golden_compare(got, want, n);

    printf("  %-5s %-16s max %.2e rms %.2e\n", storage, what, d.max, d.rel_l2);
    CHECK_NEAR(d.max, 0, limit->max);
    CHECK_NEAR(d.rel_l2, 0, limit->rms);
}

/* Mean, and log variance clamped as the golden is; the mean alone must be the same mean. */
static void check_encode(vae_rig *rig, const golden_case *c, const limits *limit)
{
    svr_safetensors *file = open_case(c->name);
    tap_check taps = {file, limit, 0};
    int64_t in[4], dims[4], full[4];
    float *x = clip_load(file, "x", in), *mean = clip_load(file, "mean", dims);
    float *logvar = clip_load(file, "logvar", dims), *got, *only;
    size_t places = (size_t) (dims[0] * dims[1] * dims[2]), latent = (size_t) dims[3];
    float *got_mean = malloc(places * latent * sizeof(float));
    float *got_logvar = malloc(places * latent * sizeof(float));

    memcpy(full, dims, sizeof full);
    full[3] *= 2;
    rig->exec.tap = compare_tap;
    rig->exec.tap_user = &taps;
    got = rig_encode(rig, &c->cut, x, in, full);
    rig->exec.tap = NULL;
    CHECK(taps.seen == c->taps);
    for (size_t p = 0; p < places; p++)
        for (size_t i = 0; i < latent; i++) {
            float v = got[p * 2 * latent + latent + i];

            got_mean[p * latent + i] = got[p * 2 * latent + i];
            got_logvar[p * latent + i] = v < -30 ? -30 : v > 20 ? 20 : v;
        }
    compare(c->name, svr_dtype_name(rig->storage), got_mean, mean, places * latent, limit);
    compare("  logvar", svr_dtype_name(rig->storage), got_logvar, logvar, places * latent, limit);
    only = rig_encode(rig, &c->cut, x, in, dims);
    CHECK_NEAR(golden_compare(only, got_mean, places * latent).max, 0, 2e-5);
    free(x), free(mean), free(logvar), free(got), free(only), free(got_mean), free(got_logvar);
    svr_safetensors_close(file);
}

static void check_decode(vae_rig *rig, const golden_case *c, const limits *limit)
{
    svr_safetensors *file = open_case(c->name);
    tap_check taps = {file, limit, 0};
    int64_t in[4], dims[4];
    float *z = clip_load(file, "z", in), *want = clip_load(file, "y", dims), *got;

    rig->exec.tap = compare_tap;
    rig->exec.tap_user = &taps;
    got = rig_decode(rig, &c->cut, z, in, dims);
    rig->exec.tap = NULL;
    CHECK(taps.seen == c->taps);
    compare(c->name, svr_dtype_name(rig->storage), got, want,
            (size_t) (dims[0] * dims[1] * dims[2] * dims[3]), limit);
    free(z), free(want), free(got);
    svr_safetensors_close(file);
}

static void check_all(const limits *limit)
{
    vae_rig rig = open_rig(limit->storage);

    for (int i = 0; i < ENCODE_CASES; i++)
        check_encode(&rig, &encode_cases[i], limit);
    for (int i = 0; i < DECODE_CASES; i++)
        check_decode(&rig, &decode_cases[i], limit);
    rig_close(&rig);
}

static void test_f32(void)
{
    check_all(&f32);
}

static void test_f16(void)
{
    check_all(&f16);
}

static void test_bf16(void)
{
    check_all(&bf16);
}

/* Every way to cut the longest golden clips is the same function. */
static void test_slices_equal_whole(void)
{
    svr_safetensors *file = open_case("enc13_sliced"), *latents = open_case("dec4_sliced");
    int64_t in[4], zin[4], dims[4], ydims[4];
    float *x = clip_load(file, "x", in), *mean = clip_load(file, "mean", dims);
    float *z = clip_load(latents, "z", zin), *y = clip_load(latents, "y", ydims);
    size_t n = (size_t) (dims[0] * dims[1] * dims[2] * dims[3]);
    size_t ny = (size_t) (ydims[0] * ydims[1] * ydims[2] * ydims[3]);
    vae_rig rig = open_rig(SVR_F32);
    float *whole, *decoded;

    whole = rig_encode(&rig, &(svr_vae_cut){0}, x, in, dims);
    decoded = rig_decode(&rig, &(svr_vae_cut){0}, z, zin, ydims);
    for (int slice = 4; slice <= 12; slice += 4) {
        svr_vae_cut cut = {.slice_frames = slice};
        float *m = rig_encode(&rig, &cut, x, in, dims);
        float *v = rig_decode(&rig, &cut, z, zin, ydims);

        CHECK_NEAR(golden_compare(m, whole, n).max, 0, 2e-5);
        CHECK_NEAR(golden_compare(v, decoded, ny).max, 0, 2e-5);
        free(m), free(v);
    }
    free(x), free(mean), free(z), free(y), free(whole), free(decoded);
    rig_close(&rig);
    svr_safetensors_close(file);
    svr_safetensors_close(latents);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_f32);
    RUN(test_f16);
    RUN(test_bf16);
    RUN(test_slices_equal_whole);
    return check_done();
}
