#include "verify/procedural.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t hash32(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    x ^= x >> 16;
    return x;
}

static uint32_t fnv1a32(const char *text)
{
    uint32_t h = 2166136261u;

    for (; *text; text++)
        h = (h ^ (unsigned char) *text) * 16777619u;
    return h;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* value = base + scale * u with u uniform in [-1, 1); sqrt(3) makes its deviation 1. */
static void distribution(const char *name, int64_t inputs, float *base, float *scale)
{
    const double r = sqrt(3.0);
    double b = 0.0, s = 1.2 * r / sqrt((double) inputs);

    if (ends_with(name, "_shift")) {
        s = 0.3 * r;
    } else if (ends_with(name, "_scale")) {
        b = 1.0;
        s = 0.3 * r;
    } else if (ends_with(name, "_gate")) {
        b = 0.5;
        s = 0.4 * r;
    } else if (ends_with(name, "bias")) {
        s = 0.1 * r;
    } else if (strstr(name, "norm_q") || strstr(name, "norm_k")) {
        b = 1.0;
        s = 0.2 * r;
    } else if (strcmp(name, "emb") == 0) {
        s = 0.4 * r;
    } else if (strcmp(name, "vid") == 0 || strcmp(name, "txt") == 0) {
        s = r;
    }
    *base = (float) b;
    *scale = (float) s;
}

void procedural_fill(const char *name, uint32_t seed, int64_t inputs, size_t first, size_t count,
                     float *dst)
{
    uint32_t s = fnv1a32(name) ^ (seed * 0x9E3779B9u), hs = hash32(s);
    float base, scale;

    distribution(name, inputs, &base, &scale);
    for (size_t k = 0; k < count; k++) {
        uint32_t h = hash32(hash32((uint32_t) (first + k) + s) ^ hs) >> 8;
        float u = ((float) h - 0x1p23f) * 0x1p-23f;
        float product = scale * u;

        dst[k] = base + product;
    }
}

svr_status procedural_generate(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                               float *dst, svr_error *err)
{
    uint32_t seed = *(const uint32_t *) user;
    int block, skip = 0;

    (void) err;
    if (sscanf(spec->name, "blocks.%d.%n", &block, &skip) != 1 || skip == 0)
        skip = 0;
    procedural_fill(spec->name + skip, seed, spec->dims[spec->rank - 1], first, count, dst);
    return SVR_OK;
}
