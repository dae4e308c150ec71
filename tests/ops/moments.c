#include "moments.h"

#include <math.h>

void ops_compare_moments(ops_bench *bench, const ops_array *array, const svr_tensor *y,
                         svr_dtype dtype)
{
    svr_tensor moments = ops_view(array, OPS_REFERENCE);
    int64_t groups = moments.dims[1], size = y->dims[3] / groups;
    int64_t pixels = y->dims[1] * y->dims[2];
    const float *got = ops_result(array);
    double unit = dtype == SVR_F16 ? 0x1p-11 : dtype == SVR_BF16 ? 0x1p-8 : 0x1p-20;

    for (int64_t i = 0; i < moments.dims[0] * groups && !ops_is_refused(bench); i++, got += 3) {
        const double *frame = (const double *) y->data + i / groups * pixels * y->dims[3];
        double mean = 0, variance = 0, n = (double) (pixels * size);

        for (int pass = 0; pass < 2; pass++)
            for (int64_t p = 0; p < pixels; p++)
                for (int64_t c = 0; c < size; c++) {
                    double v = frame[p * y->dims[3] + i % groups * size + c];

                    if (pass == 0)
                        mean += v / n;
                    else
                        variance += (v - mean) * (v - mean) / n;
                }
        if (fabs((double) got[0] + (double) got[1] - mean) > unit * (fabs(mean) + sqrt(variance)) ||
            fabs((double) got[2] - variance) > 4 * unit * (variance + mean * mean * unit))
            ops_fail(bench, "moments %d: %g %g, wanted %g %g", (int) i,
                     (double) got[0] + (double) got[1], (double) got[2], mean, variance);
    }
}
