#include "video/resample.h"

#include "base/checked.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Keys' cubic with a = -0.5. */
static double cubic(double x)
{
    x = fabs(x);
    if (x < 1.0)
        return (1.5 * x - 2.5) * x * x + 1.0;
    if (x < 2.0)
        return ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
    return 0.0;
}

/* Where the kernel of one output lies on the input axis. */
typedef struct kernel {
    double center, inverse_scale;
    int first, end; /* inputs that it covers */
} kernel;

static kernel kernel_at(int in, int out, int o)
{
    double scale = (double) in / out;
    double widening = scale > 1.0 ? scale : 1.0;
    kernel k = {.center = scale * (o + 0.5), .inverse_scale = 1.0 / widening};
    double support = 2.0 * widening;

    k.first = (int) svr_max_i64((int64_t) (k.center - support + 0.5), 0);
    k.end = (int) svr_min_i64((int64_t) (k.center + support + 0.5), in);
    return k;
}

static double kernel_weight(const kernel *k, int input)
{
    return cubic((input - k->center + 0.5) * k->inverse_scale);
}

static int widest_kernel(int in, int out)
{
    int widest = 1;

    for (int o = 0; o < out; o++) {
        kernel k = kernel_at(in, out, o);

        widest = k.end - k.first > widest ? k.end - k.first : widest;
    }
    return widest;
}

/* Row o of the tables.  All rows have as many taps as the widest kernel, so one near the end starts
 * earlier and has zeros in front. */
static void fill_row(const svr_taps *taps, int in, int o)
{
    kernel k = kernel_at(in, taps->outputs, o);
    int first = k.first + taps->taps <= in ? k.first : in - taps->taps;
    float *row = taps->weight + (size_t) o * (size_t) taps->taps;
    double sum = 0.0;

    for (int j = k.first; j < k.end; j++)
        sum += kernel_weight(&k, j);
    for (int j = k.first; j < k.end; j++)
        row[j - first] = (float) (kernel_weight(&k, j) / sum);
    taps->first[o] = first;
}

svr_status svr_taps_init(int in, int out, svr_taps *taps, svr_error *err)
{
    size_t weights;

    *taps = (svr_taps){.outputs = out};
    if (in < 1 || out < 1)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "cannot resize %d to %d pixels; sizes must be at least 1", in, out);
    taps->taps = widest_kernel(in, out);
    assert(taps->taps >= 1);
    if (svr_mul_size((size_t) out, (size_t) taps->taps, &weights)) {
        taps->first = calloc((size_t) out, sizeof *taps->first);
        taps->weight = calloc(weights, sizeof *taps->weight);
    }
    if (!taps->first || !taps->weight) {
        svr_taps_finish(taps);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the taps of a resize from %d to %d", in,
                        out);
    }
    for (int o = 0; o < out; o++)
        fill_row(taps, in, o);
    return SVR_OK;
}

void svr_taps_finish(svr_taps *taps)
{
    free(taps->first);
    free(taps->weight);
    *taps = (svr_taps){0};
}

struct svr_resampler {
    svr_backend *backend;
    svr_size in, out;
    svr_resize_axis horizontal, vertical; /* absent when the sizes are equal */
};

/* `bytes` of `src` in new backend memory. */
static svr_status upload_new(svr_backend *backend, const void *src, size_t bytes, void **out,
                             svr_error *err)
{
    svr_status status;

    SVR_TRY(svr_backend_alloc(backend, SVR_MEM_STATE, bytes, out, err));
    status = svr_backend_upload(backend, *out, src, bytes, err);
    if (status != SVR_OK) {
        svr_backend_free(backend, SVR_MEM_STATE, bytes, *out);
        *out = NULL;
    }
    return status;
}

static void axis_free(svr_backend *backend, const svr_tensor *t)
{
    if (svr_tensor_present(t))
        svr_backend_free(backend, SVR_MEM_STATE, svr_tensor_bytes(t), t->data);
}

static void axis_finish(svr_backend *backend, svr_resize_axis *axis)
{
    axis_free(backend, &axis->first);
    axis_free(backend, &axis->weight);
}

static svr_status axis_init(svr_backend *backend, int in, int out, svr_resize_axis *axis,
                            svr_error *err)
{
    svr_taps taps;
    svr_tensor first, weight;
    svr_status status;

    SVR_TRY(svr_taps_init(in, out, &taps, err));
    first = svr_tensor_1d(taps.first, SVR_I32, out);
    weight = svr_tensor_2d(taps.weight, SVR_F32, out, taps.taps);
    axis->first = first;
    axis->weight = weight;
    axis->first.data = axis->weight.data = NULL;
    status = upload_new(backend, first.data, svr_tensor_bytes(&first), &axis->first.data, err);
    if (status == SVR_OK)
        status =
            upload_new(backend, weight.data, svr_tensor_bytes(&weight), &axis->weight.data, err);
    svr_taps_finish(&taps);
    return status;
}

svr_status svr_resampler_create(svr_backend *backend, svr_size in, svr_size out_size,
                                svr_resampler **out, svr_error *err)
{
    svr_resampler *r = calloc(1, sizeof *r);
    svr_status status = SVR_OK;

    *out = NULL;
    if (!r)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for a resampler");
    *r = (svr_resampler){.backend = backend, .in = in, .out = out_size};
    if (in.width != out_size.width || in.height != out_size.height) {
        status = axis_init(backend, in.width, out_size.width, &r->horizontal, err);
        if (status == SVR_OK)
            status = axis_init(backend, in.height, out_size.height, &r->vertical, err);
    }
    if (status != SVR_OK) {
        svr_resampler_destroy(r);
        return status;
    }
    *out = r;
    return SVR_OK;
}

void svr_resampler_destroy(svr_resampler *resampler)
{
    if (!resampler)
        return;
    axis_finish(resampler->backend, &resampler->horizontal);
    axis_finish(resampler->backend, &resampler->vertical);
    free(resampler);
}

svr_status svr_resampler_run(svr_exec *exec, const svr_resampler *resampler, const svr_tensor *x,
                             const svr_tensor *y, svr_error *err)
{
    svr_copy_args copy = {.src = *x, .dst = *y};
    svr_resize_args resize = {
        .x = *x, .y = *y, .horizontal = resampler->horizontal, .vertical = resampler->vertical};

    assert(x->rank == 4 && x->dims[1] == resampler->in.height && x->dims[2] == resampler->in.width);
    assert(y->rank == 4 && y->dims[1] == resampler->out.height &&
           y->dims[2] == resampler->out.width);
    if (!svr_tensor_present(&resampler->horizontal.first))
        return svr_op_copy(exec, &copy, err);
    return svr_op_resize(exec, &resize, err);
}
