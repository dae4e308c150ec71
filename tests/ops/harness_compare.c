/* Comparisons of what an op wrote with its reference. */
#include "harness_internal.h"

#include <math.h>
#include <string.h>

/* Half a unit in the last place of `value` in the type (subnormals included). */
static double half_ulp(svr_dtype dtype, double value)
{
    static const struct {
        svr_dtype dtype;
        int digits, smallest; /* bits of precision, exponent of the smallest normal number */
    } types[] = {
        {SVR_F32, 24, -126}, {SVR_F16, 11, -14}, {SVR_BF16, 8, -126}, {SVR_F8_E4M3, 4, -6}};
    int exponent;

    if (dtype == SVR_I8)
        return 0.5;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].dtype != dtype)
            continue;
        frexp(value, &exponent);
        exponent =
            value == 0 || exponent - 1 < types[i].smallest ? types[i].smallest + 1 : exponent;
        return ldexp(0.5, exponent - types[i].digits);
    }
    return 0;
}

static double largest(const double *values, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++)
        most = fabs(values[i]) > most ? fabs(values[i]) : most;
    return most;
}

const void *ops_result(const ops_array *array)
{
    return array->after + array->lead;
}

void ops_compare(ops_bench *bench, const ops_array *a, const double *magnitude, double tolerance)
{
    int64_t n = bench->unsupported ? 0 : svr_tensor_elems(&a->device);
    svr_dtype dtype = a->device.dtype;
    double most = largest(a->values, n);

    for (int64_t i = 0; i < n; i++) {
        double want = a->values[i];
        double slack = tolerance * (magnitude ? magnitude[i] : most);
        double limit = slack + half_ulp(dtype, fabs(want) + slack);
        float got;

        svr_to_f32(a->after + a->lead + (size_t) i * svr_dtype_size(dtype), dtype, &got, 1);
        if (!(fabs((double) got - want) <= limit))
            ops_fail(bench, "element %lld is %.9g, wanted %.9g within %.3g", (long long) i,
                     (double) got, want, limit);
    }
}

void ops_compare_norm(ops_bench *bench, const ops_array *a, double limit)
{
    int64_t n = bench->unsupported ? 0 : svr_tensor_elems(&a->device);
    svr_dtype dtype = a->device.dtype;
    double error = 0, norm = 0, rounding = 0;

    for (int64_t i = 0; i < n; i++) {
        double half = half_ulp(dtype, fabs(a->values[i]));
        float got;

        svr_to_f32(a->after + a->lead + (size_t) i * svr_dtype_size(dtype), dtype, &got, 1);
        error += ((double) got - a->values[i]) * ((double) got - a->values[i]);
        norm += a->values[i] * a->values[i];
        rounding += half * half;
    }
    if (!(sqrt(error) <= limit * sqrt(norm) + sqrt(rounding)))
        ops_fail(bench, "the norm of the error is %.3g of the values' norm, wanted %.3g at most",
                 sqrt(error / norm), limit);
}

double ops_inner_rounding(const ops_bench *bench, svr_dtype dtype)
{
    if (strcmp(bench->backend->name, "cpu") == 0)
        return 0.0;
    return dtype == SVR_F16       ? 0x1p-11
           : dtype == SVR_BF16    ? 0x1p-8
           : dtype == SVR_F8_E4M3 ? 0x1p-13
                                  : 0.0;
}

void ops_compare_exact(ops_bench *bench, const ops_array *a)
{
    int64_t n = svr_tensor_elems(&a->device);
    size_t size = svr_dtype_size(a->device.dtype);

    for (int64_t i = 0; i < n; i++) {
        unsigned char want[8];
        const unsigned char *got = a->after + a->lead + (size_t) i * size;

        ops_put(a->device.dtype, want, a->values[i]);
        if (memcmp(got, want, size) != 0)
            ops_fail(bench, "element %lld is not exactly %.9g", (long long) i, a->values[i]);
    }
}
