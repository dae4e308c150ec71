/* Causal convolution by oneDNN: a band of rows of one output frame is a sum of 2-D convolutions,
 * one per input frame that it reads.  Frames are addressed one by one, so history needs no copy,
 * and an output frame at the start of a clip that would read frame 0 m times reads it once with the
 * sum of its first m taps. */
#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_library.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>

#include <stdatomic.h>
#include <string.h>

enum {
    MOST_KINDS = 6,
    MOST_TAPS = 8,
    LEAST_CHANNELS = 8,
    BAND_FLOATS = 1 << 17, /* of the wider side of a band: a core's cache holds it */
    ALIGN_BYTES = 64
};

/* Of an output row, whatever their number, so that frames, pieces of clips and bands of frames are
 * computed in one way.  Below, making primitives costs more than is gained. */
static const double least_flops = 5e5;

/* Bands that need the same primitives. */
typedef struct band_kind {
    int64_t in_rows, out_rows;
    int64_t pad_top, pad_bottom;
    dnnl_primitive_t first, next; /* the first convolution of a band, and those added to it */
} band_kind;

typedef struct conv {
    const svr_conv3d_args *args;
    int64_t kt, C, K, W, W_out, H, H_out;
    int64_t rows, bands; /* output rows of a band */
    int64_t replicated;  /* frames in front that repeat the first of head or x */
    int64_t taps;        /* kt, then sums of the first 2, 3, .. kt */
    dnnl_engine_t engine;
    dnnl_memory_desc_t weights; /* of one tap, as the primitives want it */
    size_t weight_bytes, scratchpad_bytes;
    band_kind kinds[MOST_KINDS];
    int kind_count;
    char *packed, *scratchpads;
    atomic_bool failed;
} conv;

/* ---------------------------------------------------------------------------- shapes */

bool svr_cpu_library_serves_conv3d(const svr_conv3d_args *args)
{
    double flops = 2.0 * (double) args->y.dims[2] * (double) svr_tensor_elems(&args->w);

    return args->x.dtype == SVR_F32 && args->y.dtype == SVR_F32 && args->w.dtype == SVR_F32 &&
           args->x.dims[3] >= LEAST_CHANNELS && args->y.dims[3] >= LEAST_CHANNELS &&
           args->w.dims[1] <= MOST_TAPS && flops >= least_flops;
}

static conv conv_make(const svr_conv3d_args *args)
{
    conv c = {.args = args};
    bool head = svr_tensor_present(&args->head);

    c.H = args->x.dims[1], c.W = args->x.dims[2], c.C = args->x.dims[3];
    c.K = args->w.dims[0], c.kt = args->w.dims[1];
    c.H_out = args->y.dims[1], c.W_out = args->y.dims[2];
    c.replicated = args->head_starts ? 1 : head ? 0 : c.kt - 1;
    c.taps = c.replicated > 0 ? 2 * c.kt - 1 : c.kt;
    c.rows = BAND_FLOATS / svr_max_i64(c.W * c.C, c.W_out * c.K);
    c.rows = svr_min_i64(svr_max_i64(c.rows, 2), c.H_out);
    c.bands = svr_ceil_div(c.H_out, c.rows);
    return c;
}

/* First output row of a band, first input row (may be above the picture), and its kind. */
static band_kind kind_of(const conv *c, int64_t band, int64_t *out_row, int64_t *in_row)
{
    const svr_conv3d_args *a = c->args;
    int64_t end = svr_min_i64((band + 1) * c->rows, c->H_out), last;
    band_kind k = {0};

    *out_row = band * c->rows;
    *in_row = *out_row * a->stride_s - a->pad_top;
    last = (end - 1) * a->stride_s + a->w.dims[2] - 1 - a->pad_top;
    k.out_rows = end - *out_row;
    k.pad_top = svr_max_i64(0, -*in_row);
    k.pad_bottom = svr_max_i64(0, last - (c->H - 1));
    k.in_rows = last - *in_row + 1 - k.pad_top - k.pad_bottom;
    return k;
}

static int find_kind(const conv *c, const band_kind *k)
{
    int i = 0;

    while (i < c->kind_count &&
           (c->kinds[i].in_rows != k->in_rows || c->kinds[i].out_rows != k->out_rows ||
            c->kinds[i].pad_top != k->pad_top || c->kinds[i].pad_bottom != k->pad_bottom))
        i++;
    return i;
}

/* ---------------------------------------------------------------------------- primitives */

static svr_status check(dnnl_status_t status, svr_error *err)
{
    if (status == dnnl_success)
        return SVR_OK;
    if (status == dnnl_out_of_memory)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "conv3d: no memory for oneDNN");
    return SVR_FAIL(err, SVR_ERR_DEVICE, "conv3d: oneDNN failed with status %d", (int) status);
}

/* Attributes of a primitive that writes (or adds to) its output. */
static svr_status make_attributes(bool add, dnnl_primitive_attr_t *out, svr_error *err)
{
    dnnl_post_ops_t post = NULL;
    svr_status status = check(dnnl_primitive_attr_create(out), err);

    if (status == SVR_OK)
        status =
            check(dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user), err);
    if (status == SVR_OK && add)
        status = check(dnnl_post_ops_create(&post), err);
    if (status == SVR_OK && add)
        status = check(dnnl_post_ops_append_sum(post, 1.0f), err);
    if (status == SVR_OK && add)
        status = check(dnnl_primitive_attr_set_post_ops(*out, post), err);
    if (post)
        dnnl_post_ops_destroy(post);
    return status;
}

static svr_status describe(conv *c, const band_kind *k, bool bias, dnnl_convolution_desc_t *out,
                           svr_error *err)
{
    const svr_conv3d_args *a = c->args;
    dnnl_dims_t x = {1, c->C, k->in_rows, c->W}, y = {1, c->K, k->out_rows, c->W_out};
    dnnl_dims_t b = {c->K}, stride = {a->stride_s, a->stride_s};
    dnnl_dims_t begin = {k->pad_top, a->pad_left}, end = {k->pad_bottom, a->pad_right};
    dnnl_memory_desc_t x_desc, y_desc, b_desc;

    SVR_TRY(check(dnnl_memory_desc_init_by_tag(&x_desc, 4, x, dnnl_f32, dnnl_nhwc), err));
    SVR_TRY(check(dnnl_memory_desc_init_by_tag(&y_desc, 4, y, dnnl_f32, dnnl_nhwc), err));
    SVR_TRY(check(dnnl_memory_desc_init_by_tag(&b_desc, 1, b, dnnl_f32, dnnl_a), err));
    return check(dnnl_convolution_forward_desc_init(
                     out, dnnl_forward_inference, dnnl_convolution_direct, &x_desc, &c->weights,
                     bias ? &b_desc : NULL, &y_desc, stride, begin, end),
                 err);
}

/* One primitive; the first of a convolution also decides the layout of the weights. */
static svr_status make_primitive(conv *c, const band_kind *k, bool first, dnnl_primitive_t *out,
                                 svr_error *err)
{
    const svr_conv3d_args *a = c->args;
    bool bias = first && svr_tensor_present(&a->b);
    bool add = !first || svr_tensor_present(&a->residual);
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_convolution_desc_t description;
    svr_status status = make_attributes(add, &attributes, err);

    if (status == SVR_OK)
        status = describe(c, k, bias, &description, err);
    if (status == SVR_OK)
        status = check(dnnl_primitive_desc_create(&desc, &description, attributes, c->engine, NULL),
                       err);
    if (status == SVR_OK) {
        size_t bytes = dnnl_memory_desc_get_size(
            dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0));

        c->weights = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
        c->scratchpad_bytes = bytes > c->scratchpad_bytes ? bytes : c->scratchpad_bytes;
        status = check(dnnl_primitive_create(out, desc), err);
    }
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    return status;
}

static svr_status make_kinds(conv *c, svr_error *err)
{
    dnnl_dims_t w = {c->K, c->C, c->args->w.dims[2], c->args->w.dims[3]};

    SVR_TRY(
        check(dnnl_memory_desc_init_by_tag(&c->weights, 4, w, dnnl_f32, dnnl_format_tag_any), err));
    for (int64_t band = 0; band < c->bands; band++) {
        int64_t out_row, in_row;
        band_kind k = kind_of(c, band, &out_row, &in_row);

        if (find_kind(c, &k) < c->kind_count)
            continue;
        if (c->kind_count == MOST_KINDS)
            return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "conv3d: padding over %d bands of rows",
                            (int) MOST_KINDS);
        c->kinds[c->kind_count] = k;
        SVR_TRY(make_primitive(c, &k, true, &c->kinds[c->kind_count].first, err));
        c->kind_count++;
        SVR_TRY(make_primitive(c, &k, false, &c->kinds[c->kind_count - 1].next, err));
    }
    c->weight_bytes = svr_align_up(dnnl_memory_desc_get_size(&c->weights), ALIGN_BYTES);
    c->scratchpad_bytes = svr_align_up(c->scratchpad_bytes, ALIGN_BYTES);
    return SVR_OK;
}

static void finish(conv *c)
{
    for (int i = 0; i < c->kind_count; i++) {
        if (c->kinds[i].first)
            dnnl_primitive_destroy(c->kinds[i].first);
        if (c->kinds[i].next)
            dnnl_primitive_destroy(c->kinds[i].next);
    }
    if (c->engine)
        dnnl_engine_destroy(c->engine);
}

static svr_status prepare(conv *c, svr_error *err)
{
    SVR_TRY(check(dnnl_engine_create(&c->engine, dnnl_cpu, 0), err));
    return make_kinds(c, err);
}

/* ---------------------------------------------------------------------------- computing */

typedef struct binding {
    int argument;
    const dnnl_memory_desc_t *desc;
    const void *data;
} binding;

/* Runs a primitive on raw addresses; oneDNN's handles take no const. */
static dnnl_status_t execute(conv *c, dnnl_primitive_t primitive, const binding *bindings,
                             int count)
{
    dnnl_exec_arg_t args[5];
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = dnnl_stream_create(&stream, c->engine, dnnl_stream_default_flags);
    int made = 0;

    for (; status == dnnl_success && made < count; made++) {
        union {
            const void *constant;
            void *plain;
        } handle = {bindings[made].data};

        args[made].arg = bindings[made].argument;
        status =
            dnnl_memory_create(&args[made].memory, bindings[made].desc, c->engine, handle.plain);
        if (status != dnnl_success)
            break;
    }
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, stream, count, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    for (int i = 0; i < made; i++)
        dnnl_memory_destroy(args[i].memory);
    if (stream)
        dnnl_stream_destroy(stream);
    return status;
}

/* Tap `index` of the weights, in the primitives' layout. */
static svr_status pack_tap(conv *c, int64_t index, svr_error *err)
{
    const svr_tensor *w = &c->args->w;
    int64_t tap = w->dims[2] * w->dims[3] * c->C;
    dnnl_dims_t dims = {c->K, c->C, w->dims[2], w->dims[3]};
    dnnl_dims_t strides = {c->kt * tap, 1, w->dims[3] * c->C, c->C};
    dnnl_memory_desc_t plain;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;
    svr_status status =
        check(dnnl_memory_desc_init_by_strides(&plain, 4, dims, dnnl_f32, strides), err);

    if (status == SVR_OK)
        status = check(dnnl_reorder_primitive_desc_create(&desc, &plain, c->engine, &c->weights,
                                                          c->engine, NULL),
                       err);
    if (status == SVR_OK)
        status = check(dnnl_primitive_create(&reorder, desc), err);
    if (status == SVR_OK) {
        const binding b[] = {
            {DNNL_ARG_FROM, &plain, (const float *) w->data + index * tap},
            {DNNL_ARG_TO, &c->weights, c->packed + (size_t) index * c->weight_bytes},
        };

        status = check(execute(c, reorder, b, 2), err);
    }
    if (reorder)
        dnnl_primitive_destroy(reorder);
    if (desc)
        dnnl_primitive_desc_destroy(desc);
    return status;
}

static svr_status pack_weights(conv *c, svr_error *err)
{
    for (int64_t tap = 0; tap < c->kt; tap++)
        SVR_TRY(pack_tap(c, tap, err));
    for (int64_t sum = c->kt; sum < c->taps; sum++) {
        int64_t before = sum == c->kt ? 0 : sum - 1, added = sum - c->kt + 1;
        float *out = (float *) (void *) (c->packed + (size_t) sum * c->weight_bytes);
        const float *a =
            (const float *) (const void *) (c->packed + (size_t) before * c->weight_bytes);
        const float *b =
            (const float *) (const void *) (c->packed + (size_t) added * c->weight_bytes);

        for (size_t i = 0; i < c->weight_bytes / sizeof(float); i++)
            out[i] = a[i] + b[i];
    }
    return SVR_OK;
}

/* An input frame that an output frame reads, and which weights it meets. */
typedef struct source {
    const float *frame;
    int64_t tap;
} source;

static int find_sources(const conv *c, int64_t j, source *sources)
{
    const svr_conv3d_args *a = c->args;
    int64_t heads = svr_tensor_present(&a->head) ? a->head.dims[0] : 0, plane = c->H * c->W * c->C;
    int64_t recent = svr_tensor_present(&a->recent) ? 1 : 0;
    int64_t first = j * a->stride_t - c->replicated;
    int64_t copies = svr_min_i64(svr_max_i64(1 - first, 0), c->kt);
    const float *x = a->x.data, *head = a->head.data;
    int count = 0;

    if (c->replicated == 0 || copies < 2)
        copies = 0;
    else
        sources[count++] = (source){heads > 0 ? head : x, c->kt + copies - 2};
    for (int64_t k = copies; k < c->kt; k++) {
        int64_t at = first + k, frame = at - heads - recent;

        sources[count++] = (source){at < heads  ? head + at * plane
                                    : frame < 0 ? (const float *) a->recent.data
                                                : x + frame * plane,
                                    k};
    }
    return count;
}

static void band_task(void *context, int64_t index, int thread)
{
    conv *c = context;
    const svr_conv3d_args *a = c->args;
    int64_t j = index / c->bands, out_row, in_row;
    band_kind k = kind_of(c, index % c->bands, &out_row, &in_row);
    const band_kind *kind = &c->kinds[find_kind(c, &k)];
    size_t at = (size_t) ((j * c->H_out + out_row) * c->W_out * c->K);
    size_t floats = (size_t) (k.out_rows * c->W_out * c->K);
    dnnl_dims_t x = {1, c->C, k.in_rows, c->W}, y = {1, c->K, k.out_rows, c->W_out}, b = {c->K};
    dnnl_dims_t pad = {(int64_t) c->scratchpad_bytes};
    dnnl_memory_desc_t x_desc, y_desc, b_desc, pad_desc;
    source sources[MOST_TAPS];
    int count = find_sources(c, j, sources);

    dnnl_memory_desc_init_by_tag(&x_desc, 4, x, dnnl_f32, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(&y_desc, 4, y, dnnl_f32, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(&b_desc, 1, b, dnnl_f32, dnnl_a);
    dnnl_memory_desc_init_by_tag(&pad_desc, 1, pad, dnnl_u8, dnnl_a);
    if (svr_tensor_present(&a->residual) && a->residual.data != a->y.data)
        memcpy((float *) a->y.data + at, (const float *) a->residual.data + at,
               floats * sizeof(float));
    for (int s = 0; s < count; s++) {
        const binding bindings[] = {
            {DNNL_ARG_SRC, &x_desc, sources[s].frame + (in_row + k.pad_top) * c->W * c->C},
            {DNNL_ARG_WEIGHTS, &c->weights, c->packed + (size_t) sources[s].tap * c->weight_bytes},
            {DNNL_ARG_DST, &y_desc, (float *) a->y.data + at},
            {DNNL_ARG_SCRATCHPAD, &pad_desc,
             c->scratchpads + (size_t) thread * c->scratchpad_bytes},
            {DNNL_ARG_BIAS, &b_desc, a->b.data},
        };
        int used = s == 0 && svr_tensor_present(&a->b) ? 5 : 4;

        if (execute(c, s == 0 ? kind->first : kind->next, bindings, used) != dnnl_success)
            atomic_store(&c->failed, true);
    }
}

/* ---------------------------------------------------------------------------- entries */

/* Primitives and reorders for one thread each: the bands are what runs in parallel.  Returns the
 * number of threads to set again. */
static int one_thread_each(void)
{
    int threads = omp_get_max_threads();

    omp_set_num_threads(1);
    return threads;
}

static size_t workspace_bytes(const conv *c, int threads)
{
    return c->weight_bytes * (size_t) c->taps + c->scratchpad_bytes * (size_t) threads;
}

size_t svr_cpu_library_conv3d_workspace(svr_backend *backend, const svr_conv3d_args *args)
{
    conv c = conv_make(args);
    size_t bytes = 0;
    int threads = one_thread_each();

    if (prepare(&c, NULL) == SVR_OK)
        bytes = workspace_bytes(&c, svr_cpu_of(backend)->threads);
    omp_set_num_threads(threads);
    finish(&c);
    return bytes;
}

svr_status svr_cpu_library_conv3d(svr_exec *exec, const svr_conv3d_args *args, void *workspace,
                                  svr_error *err)
{
    conv c = conv_make(args);
    int threads = one_thread_each();
    svr_status status = prepare(&c, err);

    c.packed = workspace;
    c.scratchpads = c.packed + c.weight_bytes * (size_t) c.taps;
    if (status == SVR_OK)
        status = pack_weights(&c, err);
    omp_set_num_threads(threads);
    if (status == SVR_OK)
        status = svr_cpu_for(exec, args->y.dims[0] * c.bands, band_task, &c, err);
    if (status == SVR_OK && atomic_load(&c.failed))
        status = SVR_FAIL(err, SVR_ERR_DEVICE, "conv3d: oneDNN failed in a band");
    finish(&c);
    return status;
}
