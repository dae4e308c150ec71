#include "golden.h"

#include "check.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ tensors */

svr_safetensors *golden_open(const char *data_dir, const char *name)
{
    char path[1024];
    svr_safetensors *file = NULL;
    svr_error err = {0};

    snprintf(path, sizeof path, "%s/goldens/%s.safetensors", data_dir, name);
    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    return file;
}

bool golden_has(const svr_safetensors *file, const char *name)
{
    return svr_safetensors_find(file, name) != NULL;
}

const svr_safetensors_entry *golden_entry(const svr_safetensors *file, const char *name)
{
    const svr_safetensors_entry *entry = svr_safetensors_find(file, name);

    if (!entry)
        fprintf(stderr, "no tensor %s in %s\n", name, svr_safetensors_path(file));
    CHECK(entry != NULL);
    return entry;
}

float *golden_floats(const svr_safetensors *file, const char *name, size_t *count)
{
    const svr_safetensors_entry *entry = golden_entry(file, name);
    size_t n = svr_safetensors_elems(entry);
    float *values = malloc(n * sizeof *values);

    CHECK(n > 0 && values != NULL);
    svr_to_f32(entry->data, entry->dtype, values, n);
    if (count)
        *count = n;
    return values;
}

void golden_ints(const svr_safetensors *file, const char *name, int *out, size_t count)
{
    const svr_safetensors_entry *entry = golden_entry(file, name);

    CHECK(entry->dtype == SVR_I32 && svr_safetensors_elems(entry) == count);
    memcpy(out, entry->data, count * sizeof *out);
}

void golden_channels_last(const float *planes, size_t channels, size_t places, float *pixels)
{
    for (size_t p = 0; p < places; p++)
        for (size_t c = 0; c < channels; c++)
            pixels[p * channels + c] = planes[c * places + p];
}

/* ------------------------------------------------------------------ measures */

static double distance(float got, float want)
{
    double d = fabs((double) got - (double) want);

    return isfinite(d) ? d : INFINITY;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

golden_error golden_compare(const float *got, const float *want, size_t count)
{
    double *d = malloc(count * sizeof *d);
    double n = (double) count, total = 0.0, squares = 0.0, sum = 0.0, power = 0.0;
    golden_error error = {0};

    CHECK(count > 0 && d != NULL);
    for (size_t i = 0; i < count; i++) {
        d[i] = distance(got[i], want[i]);
        total += d[i];
        squares += d[i] * d[i];
        sum += (double) want[i];
        power += (double) want[i] * (double) want[i];
    }
    qsort(d, count, sizeof *d, by_size);
    error.max = d[count - 1];
    error.mean = total / n;
    error.p99 = d[(size_t) ((n - 1.0) * 0.99)];
    error.p999 = d[(size_t) ((n - 1.0) * 0.999)];
    error.rel_l2 = sqrt(squares / power);
    error.max_std = error.max / sqrt(power / n - sum / n * (sum / n));
    error.psnr = 10.0 * log10(n / squares);
    free(d);
    return error;
}

double golden_share_beyond(const float *got, const float *want, size_t count, double limit)
{
    size_t beyond = 0;

    for (size_t i = 0; i < count; i++)
        beyond += distance(got[i], want[i]) > limit;
    return (double) beyond / (double) count;
}

int golden_ulp(float a, float b)
{
    int32_t ia, ib;

    memcpy(&ia, &a, sizeof ia);
    memcpy(&ib, &b, sizeof ib);
    /* order negative floats below positive ones */
    int64_t oa = ia < 0 ? (int64_t) INT32_MIN - ia : ia;
    int64_t ob = ib < 0 ? (int64_t) INT32_MIN - ib : ib;
    int64_t distance_ulp = oa > ob ? oa - ob : ob - oa;
    return distance_ulp > INT32_MAX ? INT32_MAX : (int) distance_ulp;
}
