/* Cases of upsample_conv3d, and of its plain steps in bands of any height.  Limits as in
 * cases_conv.c. */
#include "backend/upsample.h"
#include "harness.h"
#include "moments.h"
#include "reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUM_UNITS = 16, BOUNDS = 4 };

typedef struct upsample_case {
    int x[4], k, m; /* T, H, W, C; outputs, channels between */
    int tz;
    bool head, no_bias, f32_out, small, head_starts;
} upsample_case;

static const upsample_case upsample_cases[] = {
    /* small ones, at the clip's start and later */
    {{3, 3, 5, 16}, 16, 16, 2, false, false, false, true, false},
    {{2, 4, 3, 16}, 8, 24, 2, true, false, false, false, false},
    {{3, 3, 4, 8}, 16, 16, 1, false, false, true, false, false},
    {{2, 2, 5, 16}, 16, 8, 1, true, true, false, true, false},
    {{1, 1, 1, 4}, 3, 5, 2, false, false, false, false, false},
    {{2, 3, 1, 6}, 5, 7, 1, false, true, false, false, false},
    /* widths that devices merge the steps for */
    {{3, 3, 4, 64}, 64, 64, 2, false, false, false, true, false},
    {{1, 2, 3, 64}, 64, 64, 2, false, true, false, false, false},
    {{2, 5, 3, 64}, 64, 64, 2, true, false, true, false, false},
    {{4, 3, 4, 64}, 64, 64, 1, false, false, false, true, false},
    {{1, 3, 2, 64}, 64, 64, 1, false, false, false, false, false},
    {{2, 3, 3, 64}, 64, 128, 1, true, false, false, false, false},
    {{2, 1, 66, 64}, 64, 64, 2, true, false, false, false, false},
    /* behind a piece of the clip's first frame alone */
    {{2, 4, 3, 16}, 8, 24, 2, true, false, false, true, true},
    {{1, 3, 2, 64}, 64, 64, 2, true, false, false, true, true},
    {{3, 2, 66, 64}, 64, 128, 2, true, true, false, false, true},
    {{2, 4, 3, 16}, 8, 24, 1, true, false, false, true, true},
    {{1, 3, 2, 64}, 64, 64, 1, true, false, false, true, true},
    {{3, 2, 66, 64}, 64, 128, 1, true, true, false, false, true},
};

/* High enough for bands with others above and below. */
static const upsample_case band_cases[] = {
    {{3, 9, 5, 16}, 16, 16, 2, false, false, false, false, false},
    {{2, 13, 1, 16}, 8, 24, 2, true, false, false, false, false},
    {{3, 10, 3, 8}, 16, 16, 1, false, false, true, false, false},
    {{4, 11, 5, 16}, 16, 8, 1, true, true, false, false, false},
    {{1, 7, 3, 4}, 3, 5, 2, false, false, false, false, false},
    {{2, 8, 7, 6}, 5, 7, 1, false, true, false, false, false},
    {{3, 9, 3, 16}, 8, 24, 2, true, false, false, false, true},
    {{3, 7, 4, 8}, 16, 16, 1, true, false, true, false, true},
    {{1, 6, 37, 64}, 64, 64, 2, true, false, false, false, false},
    {{1, 5, 66, 64}, 64, 64, 1, true, false, false, false, false},
};

/* The arrays of a case that are looked at, and its arguments. */
typedef struct upsample {
    ops_array *y, *moments;
    svr_upsample_conv3d_args args[OPS_SIDES];
} upsample;

static void prepare(ops_bench *bench, const upsample_case *c, svr_dtype dtype, upsample *u)
{
    int64_t T = c->x[0], H = c->x[1], W = c->x[2], C = c->x[3], E = (int64_t) 4 * c->tz * c->m;
    svr_dtype kept = ops_weight_dtype(bench, dtype);
    ops_array *x = ops_input(bench, dtype, SVR_DIMS(T, H, W, C));
    int64_t heads = c->head_starts ? 1 : 3 - c->tz;
    ops_array *head = c->head ? ops_input(bench, dtype, SVR_DIMS(heads, H, W, C)) : NULL;
    ops_array *up = ops_input(bench, kept, SVR_DIMS(E, 1, 1, 1, C));
    ops_array *up_b = ops_input(bench, SVR_F32, SVR_DIMS(E));
    ops_array *w = ops_input(bench, kept, SVR_DIMS(c->k, 3, 3, 3, c->m));
    ops_array *b = c->no_bias ? NULL : ops_input(bench, SVR_F32, SVR_DIMS(c->k));

    u->y = ops_output(bench, c->f32_out ? SVR_F32 : dtype,
                      SVR_DIMS(c->tz * T - (c->tz == 2 && !c->head), 2 * H, 2 * W, c->k));
    ops_scale_values(up, 1 / sqrt((double) C), 0);
    ops_scale_values(w, 1 / sqrt(27.0 * c->m), 0);
    ops_fit_bias(b, dtype);
    for (int side = 0; side < OPS_SIDES; side++)
        u->args[side] = (svr_upsample_conv3d_args){.x = ops_view(x, side),
                                                   .head = ops_view(head, side),
                                                   .up = ops_view(up, side),
                                                   .up_b = ops_view(up_b, side),
                                                   .w = ops_view(w, side),
                                                   .b = ops_view(b, side),
                                                   .y = ops_view(u->y, side),
                                                   .tz = c->tz,
                                                   .head_starts = c->head_starts};
}

/* The reference's result, in place; returns its magnitudes. */
static double *compute_reference(ops_bench *bench, upsample *u)
{
    double *magnitude = ops_doubles(bench, svr_tensor_elems(&u->args[0].y));

    reference_upsample_conv3d(&u->args[OPS_REFERENCE], magnitude);
    return magnitude;
}

static void compare(ops_bench *bench, const upsample *u, const double *magnitude, svr_dtype dtype)
{
    /* the shuffled frames or the merged weights are rounded once to the storage type */
    double inner = dtype == SVR_F16 ? 0x1p-11 : dtype == SVR_BF16 ? 0x1p-8 : 0;

    ops_compare(bench, u->y, magnitude,
                SUM_UNITS * OPS_F32_EPS + inner + 2 * ops_inner_rounding(bench, dtype));
}

static void upsample_case_run(ops_bench *bench, const upsample_case *c, svr_dtype dtype)
{
    upsample u = {0};

    prepare(bench, c, dtype, &u);
    if (c->k % 4 == 0)
        u.moments = ops_output(bench, SVR_F32, SVR_DIMS(ops_view(u.y, 0).dims[0], c->k / 4, 3));
    for (int side = 0; side < OPS_SIDES; side++)
        u.args[side].moments = ops_view(u.moments, side);
    OPS_RUN(bench, upsample_conv3d, &u.args[OPS_DEVICE]);
    compare(bench, &u, compute_reference(bench, &u), dtype);
    if (u.moments)
        ops_compare_moments(bench, u.moments, &u.args[OPS_REFERENCE].y, dtype);
}

/* OPS_RUN of the plain steps. */
static void run_steps(ops_bench *bench, const svr_upsample_conv3d_args *args, size_t bound)
{
    for (int pass = 0; pass < ops_passes(bench); pass++) {
        size_t bytes = svr_upsample_plain_workspace(ops_backend(bench, pass), args, bound);
        svr_exec *exec = ops_before(bench, pass, bytes);
        svr_error err = {.code = SVR_OK};
        void *workspace = NULL;
        svr_status status = svr_scratch_alloc(exec->scratch, bytes, &workspace, &err);

        if (status == SVR_OK)
            status = svr_upsample_plain(exec, args, bound, workspace, &err);
        svr_scratch_free(exec->scratch, workspace);
        ops_after(bench, pass, status, &err);
    }
}

/* From the whole picture at once to bands of one row.  The CPU's own loops add in the same order in
 * all; the library that takes large F32 convolutions chooses one by the number of rows. */
static void band_case_run(ops_bench *bench, const upsample_case *c, svr_dtype dtype)
{
    svr_backend *backend = ops_backend(bench, 0);
    const bool exact = ops_inner_rounding(bench, SVR_F16) == 0 && (dtype != SVR_F32 || c->m < 64);
    upsample u = {0};
    const svr_upsample_conv3d_args *args = &u.args[OPS_DEVICE];
    double *magnitude;
    size_t whole, size;
    void *first;

    prepare(bench, c, dtype, &u);
    magnitude = compute_reference(bench, &u);
    whole = svr_upsample_plain_workspace(backend, args, SIZE_MAX);
    size = svr_tensor_bytes(&args->y);
    first = malloc(size);
    if (!first || svr_upsample_plain_workspace(backend, args, 0) >= whole)
        ops_fail(bench, "bands of one row take as much as the picture, %zu bytes", whole);
    for (size_t i = 0; i <= BOUNDS; i++) {
        run_steps(bench, args, whole - whole * i / BOUNDS);
        compare(bench, &u, magnitude, dtype);
        if (i == 0)
            memcpy(first, ops_result(u.y), size);
        else if (exact && memcmp(first, ops_result(u.y), size) != 0)
            ops_fail(bench, "bands in %zu/%d of the room give other bits", BOUNDS - i, BOUNDS);
    }
    free(first);
}

void ops_cases_upsample(ops_bench *bench)
{
    for (size_t i = 0; i < sizeof upsample_cases / sizeof upsample_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, upsample_cases[i].small); d++) {
            ops_case(bench, "upsample_conv3d[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            upsample_case_run(bench, &upsample_cases[i], ops_storage[d]);
        }
    for (size_t i = 0; i < sizeof band_cases / sizeof band_cases[0]; i++)
        for (int d = 0; d < 3 && ops_wants(bench, band_cases[i].small); d++) {
            ops_case(bench, "upsample_conv3d in bands[%zu] %s", i, svr_dtype_name(ops_storage[d]));
            band_case_run(bench, &band_cases[i], ops_storage[d]);
        }
}
