/* Model R'G'B' to CIE Lab and back.  The formulas are those of base/colour_math.h, laid out so that
 * the compiler can work on several pixels at once. */
#include "cpu/cpu_pixels.h"

#include "cpu/cpu_colour_power.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_pixels_math.h"

enum { BLOCK = 64 }; /* pixels that are converted together */

/* Three channels of some pixels, apart. */
typedef struct planes {
    float channel[3][BLOCK];
} planes;

static float max_float(float a, float b)
{
    return a > b ? a : b;
}

/* ((u + .055) / 1.055)^2.4 = base^2 * base^.4 keeps the exponent, and so its rounding, small. */
static void decode_srgb(float *values)
{
    for (int i = 0; i < BLOCK; i++) {
        float u = values[i], base = (u + 0.055f) / 1.055f;
        float curve = base * base * svr_fast_pow(base, 0.4f), line = u * (1.0f / 12.92f);

        values[i] = u > 0.04045f ? curve : line;
    }
}

static void encode_srgb(float *values)
{
    for (int i = 0; i < BLOCK; i++) {
        float v = values[i];
        float curve = 1.055f * svr_fast_pow(max_float(v, 0.0031308f), 1.0f / 2.4f) - 0.055f;

        values[i] = svr_clamp_unit(v > 0.0031308f ? curve : v * 12.92f);
    }
}

static void multiply(const float matrix[3][3], planes *p)
{
    for (int i = 0; i < BLOCK; i++) {
        float a = p->channel[0][i], b = p->channel[1][i], c = p->channel[2][i];

        for (int k = 0; k < 3; k++)
            p->channel[k][i] = matrix[k][0] * a + matrix[k][1] * b + matrix[k][2] * c;
    }
}

/* The cube root of Lab, with its straight piece near black. */
static void compress(float *values, float white)
{
    const float epsilon = (6.0f / 29.0f) * (6.0f / 29.0f) * (6.0f / 29.0f);
    const float kappa = (29.0f / 3.0f) * (29.0f / 3.0f) * (29.0f / 3.0f);

    for (int i = 0; i < BLOCK; i++) {
        float t = values[i] / white;
        float root = svr_fast_pow(max_float(t, epsilon), 1.0f / 3.0f);
        float line = (kappa * t + 16.0f) * (1.0f / 116.0f);

        values[i] = t > epsilon ? root : line;
    }
}

static void expand(float *values, float white)
{
    const float kappa = (29.0f / 3.0f) * (29.0f / 3.0f) * (29.0f / 3.0f);

    for (int i = 0; i < BLOCK; i++) {
        float f = values[i], cube = f * f * f, line = (116.0f * f - 16.0f) * (1.0f / kappa);

        values[i] = white * (f > 6.0f / 29.0f ? cube : line);
    }
}

static const float white_point[3] = {0.95047f, 1.0f, 1.08883f};

static void lab_from_model(planes *p)
{
    static const float to_xyz[3][3] = {{0.4124564f, 0.3575761f, 0.1804375f},
                                       {0.2126729f, 0.7151522f, 0.0721750f},
                                       {0.0193339f, 0.1191920f, 0.9503041f}};

    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < BLOCK; i++)
            p->channel[k][i] = svr_clamp_unit((p->channel[k][i] + 1.0f) * 0.5f);
        decode_srgb(p->channel[k]);
    }
    multiply(to_xyz, p);
    for (int k = 0; k < 3; k++)
        compress(p->channel[k], white_point[k]);
    for (int i = 0; i < BLOCK; i++) {
        float fx = p->channel[0][i], fy = p->channel[1][i], fz = p->channel[2][i];

        p->channel[0][i] = 116.0f * fy - 16.0f;
        p->channel[1][i] = 500.0f * (fx - fy);
        p->channel[2][i] = 200.0f * (fy - fz);
    }
}

static void model_from_lab(planes *p)
{
    static const float from_xyz[3][3] = {{3.2404542f, -1.5371385f, -0.4985314f},
                                         {-0.9692660f, 1.8760108f, 0.0415560f},
                                         {0.0556434f, -0.2040259f, 1.0572252f}};

    for (int i = 0; i < BLOCK; i++) {
        float fy = (p->channel[0][i] + 16.0f) / 116.0f;
        float a = p->channel[1][i], b = p->channel[2][i];

        p->channel[0][i] = fy + a / 500.0f;
        p->channel[1][i] = fy;
        p->channel[2][i] = fy - b / 200.0f;
    }
    for (int k = 0; k < 3; k++)
        expand(p->channel[k], white_point[k]);
    multiply(from_xyz, p);
    for (int k = 0; k < 3; k++) {
        encode_srgb(p->channel[k]);
        for (int i = 0; i < BLOCK; i++)
            p->channel[k][i] = p->channel[k][i] * 2.0f - 1.0f;
    }
}

typedef void (*planes_function)(planes *p);

typedef struct lab_context {
    const svr_lab_args *args;
    planes_function convert;
} lab_context;

/* Up to BLOCK pixels; the rest of the block stays zero. */
static void convert_block(planes_function convert, const float *in, float *out, int count)
{
    planes p = {{{0.0f}}};

    for (int i = 0; i < count; i++) {
        for (int k = 0; k < 3; k++)
            p.channel[k][i] = in[3 * i + k];
    }
    convert(&p);
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < 3; k++)
            out[3 * i + k] = p.channel[k][i];
    }
}

static void convert_row(void *context, int64_t index, int thread)
{
    const lab_context *c = context;
    int64_t width = c->args->x.dims[2];
    const float *in = (const float *) c->args->x.data + index * width * 3;
    float *out = (float *) c->args->y.data + index * width * 3;

    (void) thread;
    for (int64_t x = 0; x < width; x += BLOCK)
        convert_block(c->convert, in + 3 * x, out + 3 * x,
                      width - x < BLOCK ? (int) (width - x) : BLOCK);
}

static svr_status convert_all(svr_exec *exec, const svr_lab_args *args, planes_function convert,
                              svr_error *err)
{
    lab_context context = {args, convert};

    return svr_cpu_for(exec, args->x.dims[0] * args->x.dims[1], convert_row, &context, err);
}

svr_status svr_cpu_rgb_to_lab(svr_exec *exec, const svr_rgb_to_lab_args *args, void *workspace,
                              svr_error *err)
{
    (void) workspace;
    return convert_all(exec, args, lab_from_model, err);
}

svr_status svr_cpu_lab_to_rgb(svr_exec *exec, const svr_lab_to_rgb_args *args, void *workspace,
                              svr_error *err)
{
    (void) workspace;
    return convert_all(exec, args, model_from_lab, err);
}
