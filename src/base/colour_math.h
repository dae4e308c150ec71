/* Scalar colour maths shared by backends and tests: sRGB, Lab, HSV.  Source: spec pipeline §11.
 * SVR_HD marks functions that CUDA compiles for both sides.
 * Level 0.  Thread: any (pure functions). */
#ifndef SVR_BASE_COLOUR_MATH_H
#define SVR_BASE_COLOUR_MATH_H

#include <math.h>

#ifdef __CUDACC__
#define SVR_HD static __host__ __device__ inline
#else
#define SVR_HD static inline
#endif

/* (v + 1) / 2 clamped to [0,1]. */
SVR_HD float svr_unit_from_model(float v)
{
    float u = (v + 1.0f) * 0.5f;

    return u < 0.0f ? 0.0f : u > 1.0f ? 1.0f : u;
}

SVR_HD float svr_srgb_decode(float u)
{
    return u > 0.04045f ? powf((u + 0.055f) / 1.055f, 2.4f) : u / 12.92f;
}

SVR_HD float svr_srgb_encode(float v)
{
    return v > 0.0031308f ? 1.055f * powf(v, 1.0f / 2.4f) - 0.055f : v * 12.92f;
}

/* Unit R'G'B' to CIE Lab, D65. */
SVR_HD void svr_lab_from_unit(const float rgb[3], float lab[3])
{
    const float epsilon = (6.0f / 29.0f) * (6.0f / 29.0f) * (6.0f / 29.0f);
    const float kappa = (29.0f / 3.0f) * (29.0f / 3.0f) * (29.0f / 3.0f);
    float r = svr_srgb_decode(rgb[0]), g = svr_srgb_decode(rgb[1]), b = svr_srgb_decode(rgb[2]);
    float xyz[3], f[3];

    xyz[0] = (0.4124564f * r + 0.3575761f * g + 0.1804375f * b) / 0.95047f;
    xyz[1] = 0.2126729f * r + 0.7151522f * g + 0.0721750f * b;
    xyz[2] = (0.0193339f * r + 0.1191920f * g + 0.9503041f * b) / 1.08883f;
    for (int i = 0; i < 3; i++)
        f[i] = xyz[i] > epsilon ? cbrtf(xyz[i]) : (kappa * xyz[i] + 16.0f) / 116.0f;
    lab[0] = 116.0f * f[1] - 16.0f;
    lab[1] = 500.0f * (f[0] - f[1]);
    lab[2] = 200.0f * (f[1] - f[2]);
}

/* The way back, clamped to [0,1]. */
SVR_HD void svr_unit_from_lab(const float lab[3], float rgb[3])
{
    const float kappa = (29.0f / 3.0f) * (29.0f / 3.0f) * (29.0f / 3.0f);
    const float white[3] = {0.95047f, 1.0f, 1.08883f};
    float fy = (lab[0] + 16.0f) / 116.0f;
    float f[3] = {fy + lab[1] / 500.0f, fy, fy - lab[2] / 200.0f};
    float xyz[3], linear[3];

    for (int i = 0; i < 3; i++)
        xyz[i] =
            white[i] * (f[i] > 6.0f / 29.0f ? f[i] * f[i] * f[i] : (116.0f * f[i] - 16.0f) / kappa);
    linear[0] = 3.2404542f * xyz[0] - 1.5371385f * xyz[1] - 0.4985314f * xyz[2];
    linear[1] = -0.9692660f * xyz[0] + 1.8760108f * xyz[1] + 0.0415560f * xyz[2];
    linear[2] = 0.0556434f * xyz[0] - 0.2040259f * xyz[1] + 1.0572252f * xyz[2];
    for (int i = 0; i < 3; i++) {
        float u = svr_srgb_encode(linear[i]);

        rgb[i] = u < 0.0f ? 0.0f : u > 1.0f ? 1.0f : u;
    }
}

/* Unit R'G'B' to hue [0,1), saturation, value; on ties blue wins over green over red. */
SVR_HD void svr_hsv_from_unit(const float rgb[3], float hsv[3])
{
    float r = rgb[0], g = rgb[1], b = rgb[2];
    float max = fmaxf(r, fmaxf(g, b)), min = fminf(r, fminf(g, b));
    float chroma = max - min, hue = 0.0f;

    if (chroma > 1e-10f) {
        if (max == b) {
            hue = (r - g) / chroma + 4.0f;
        } else if (max == g) {
            hue = (b - r) / chroma + 2.0f;
        } else {
            hue = fmodf((g - b) / chroma, 6.0f);
            hue = hue < 0.0f ? hue + 6.0f : hue;
        }
    }
    hsv[0] = hue / 6.0f;
    hsv[1] = max > 1e-10f ? chroma / max : 0.0f;
    hsv[2] = max;
}

SVR_HD void svr_unit_from_hsv(const float hsv[3], float rgb[3])
{
    float h6 = hsv[0] * 6.0f, s = hsv[1], v = hsv[2];
    float whole = floorf(h6), f = h6 - whole;
    float p = v * (1.0f - s), q = v * (1.0f - s * f), t = v * (1.0f - s * (1.0f - f));
    int sextant = (int) whole % 6;

    rgb[0] = sextant == 0 || sextant == 5 ? v : sextant == 1 ? q : sextant == 4 ? t : p;
    rgb[1] = sextant == 1 || sextant == 2 ? v : sextant == 0 ? t : sextant == 3 ? q : p;
    rgb[2] = sextant == 3 || sextant == 4 ? v : sextant == 2 ? t : sextant == 5 ? q : p;
}

#endif
