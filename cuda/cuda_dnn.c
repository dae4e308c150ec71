#include "cuda_dnn.h"

#include <cudnn_graph.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libcudnn.so.9"

enum {
    MINIMUM_VERSION = 91500, /* 9.8 to 9.14 compute some 16-bit 3-D convolutions wrongly */
    MOST_CONFIGS = 32,       /* that are asked of the heuristics */
    MOST_DESCRIPTORS = 128,
    ALIGN_BYTES = 16,
    RANK = 5, /* N C T H W, the order of cuDNN's sizes, whatever the layout */
    SPACE = 3 /* T H W */
};

/* What is called, as declared by the headers. */
#define FUNCTIONS(F)                                                                               \
    F(cudnnGetVersion)                                                                             \
    F(cudnnGetErrorString)                                                                         \
    F(cudnnGetLastErrorString)                                                                     \
    F(cudnnCreate)                                                                                 \
    F(cudnnDestroy)                                                                                \
    F(cudnnSetStream)                                                                              \
    F(cudnnBackendCreateDescriptor)                                                                \
    F(cudnnBackendDestroyDescriptor)                                                               \
    F(cudnnBackendSetAttribute)                                                                    \
    F(cudnnBackendGetAttribute)                                                                    \
    F(cudnnBackendFinalize)                                                                        \
    F(cudnnBackendExecute)

struct svr_cuda_dnn {
    void *library;
    cudnnHandle_t handle;
    cudnnBackendDescriptor_t device;
    int version;
    const svr_log *log;
#define MEMBER(name) __typeof__(&(name)) name;
    FUNCTIONS(MEMBER)
#undef MEMBER
};

typedef struct plan {
    cudnnBackendDescriptor_t descriptor;
    int64_t engine;
    size_t workspace;
} plan;

struct svr_cuda_dnn_shape {
    svr_cuda_dnn *dnn;
    bool residual;
    cudnnBackendDescriptor_t owned[MOST_DESCRIPTORS]; /* all that was made, in order */
    int owned_count;
    plan plans[MOST_CONFIGS];
    int plan_count;
};

/* Names of tensors for cuDNN. */
enum { X_ID = 1, W_ID, BIAS_ID, RESIDUAL_ID, Y_ID, PRODUCT_ID, SUM_ID };

/* ---- calls */

/* A failure counts as UNSUPPORTED; what it means is up to the public functions. */
static svr_status check(const svr_cuda_dnn *d, cudnnStatus_t result, const char *what,
                        svr_error *err)
{
    char why[256] = "";

    if (result == CUDNN_STATUS_SUCCESS)
        return SVR_OK;
    d->cudnnGetLastErrorString(why, sizeof why);
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "cuDNN, %s: %s (%s)", what,
                    d->cudnnGetErrorString(result), why);
}

/* The same failure under another code. */
static svr_status failed_as(svr_status code, svr_error *err)
{
    if (err)
        err->code = code;
    return code;
}

/* A descriptor that lives as long as the shape. */
static svr_status make(svr_cuda_dnn_shape *s, cudnnBackendDescriptorType_t type,
                       cudnnBackendDescriptor_t *out, svr_error *err)
{
    if (s->owned_count == MOST_DESCRIPTORS)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "cuDNN, too many descriptors for a convolution");
    SVR_TRY(check(s->dnn, s->dnn->cudnnBackendCreateDescriptor(type, out), "a descriptor", err));
    s->owned[s->owned_count++] = *out;
    return SVR_OK;
}

typedef struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    const void *values;
} attribute;

static svr_status fill(const svr_cuda_dnn *d, cudnnBackendDescriptor_t descriptor,
                       const attribute *attributes, int count, svr_error *err)
{
    for (int i = 0; i < count; i++) {
        const attribute *a = &attributes[i];
        char what[32];

        snprintf(what, sizeof what, "attribute %d", (int) a->name);
        SVR_TRY(
            check(d, d->cudnnBackendSetAttribute(descriptor, a->name, a->type, a->count, a->values),
                  what, err));
    }
    return check(d, d->cudnnBackendFinalize(descriptor), "finalizing", err);
}

#define FILL(dnn, descriptor, attributes, err)                                                     \
    fill((dnn), (descriptor), (attributes), (int) (sizeof(attributes) / sizeof((attributes)[0])),  \
         (err))

/* ---- opening */

static svr_status find_functions(svr_cuda_dnn *d, svr_error *err)
{
    void *symbol;

    /* ISO C has no conversion from object to function pointers */
#define FIND(name)                                                                                 \
    symbol = dlsym(d->library, #name);                                                             \
    if (!symbol)                                                                                   \
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, LIBRARY " has no " #name ": update cuDNN");        \
    memcpy(&d->name, &symbol, sizeof symbol);
    FUNCTIONS(FIND)
#undef FIND
    return SVR_OK;
}

static svr_status open_library(svr_cuda_dnn *d, svr_error *err)
{
    const char *why;

    d->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!d->library) {
        why = dlerror();
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "cuDNN cannot be loaded (%s): install cuDNN 9, or put its folder in "
                        "LD_LIBRARY_PATH",
                        why ? why : LIBRARY);
    }
    SVR_TRY(find_functions(d, err));
    d->version = (int) d->cudnnGetVersion();
    if (d->version < MINIMUM_VERSION)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE,
                        "cuDNN %d.%d.%d is too old, its 3-D convolutions can be wrong: install "
                        "%d.%d or newer",
                        d->version / 10000, d->version / 100 % 100, d->version % 100,
                        MINIMUM_VERSION / 10000, MINIMUM_VERSION / 100 % 100);
    return SVR_OK;
}

static svr_status start(svr_cuda_dnn *d, int device, cudaStream_t stream, svr_error *err)
{
    int32_t id = device;
    attribute attributes[] = {{CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &id}};

    SVR_TRY(check(d, d->cudnnCreate(&d->handle), "starting", err));
    SVR_TRY(check(d, d->cudnnSetStream(d->handle, stream), "its stream", err));
    SVR_TRY(check(d,
                  d->cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &d->device),
                  "the device", err));
    return FILL(d, d->device, attributes, err);
}

svr_status svr_cuda_dnn_open(int device, cudaStream_t stream, const svr_log *log,
                             svr_cuda_dnn **out, svr_error *err)
{
    svr_cuda_dnn *d = calloc(1, sizeof *d);
    svr_status status;

    if (!d)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for cuDNN");
    d->log = log;
    status = open_library(d, err);
    if (status == SVR_OK)
        status = start(d, device, stream, err);
    if (status != SVR_OK) {
        svr_cuda_dnn_close(d);
        return failed_as(SVR_ERR_NO_DEVICE, err);
    }
    *out = d;
    return SVR_OK;
}

/* The library stays open: threads of its own may still run when a process ends. */
void svr_cuda_dnn_close(svr_cuda_dnn *d)
{
    if (!d)
        return;
    if (d->device)
        (void) d->cudnnBackendDestroyDescriptor(d->device);
    if (d->handle)
        (void) d->cudnnDestroy(d->handle);
    free(d);
}

int svr_cuda_dnn_version(const svr_cuda_dnn *d)
{
    return d->version;
}

/* ---- the graph */

/* A dense tensor whose channels are innermost; `dims` in the order N C T H W (w: K C kt kh kw). */
static svr_status make_tensor(svr_cuda_dnn_shape *s, int64_t id, cudnnDataType_t type,
                              const int64_t *dims, cudnnBackendDescriptor_t *out, svr_error *err)
{
    int64_t row = dims[4] * dims[1], frame = dims[3] * row, align = ALIGN_BYTES;
    int64_t strides[RANK] = {dims[2] * frame, 1, frame, row, dims[1]};
    bool inner = id == PRODUCT_ID || id == SUM_ID; /* exists between operations only */
    attribute attributes[] = {
        {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id},
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, RANK, dims},
        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, RANK, strides},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align},
        {CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &inner},
    };

    SVR_TRY(make(s, CUDNN_BACKEND_TENSOR_DESCRIPTOR, out, err));
    return FILL(s->dnn, *out, attributes, err);
}

static svr_status make_geometry(svr_cuda_dnn_shape *s, const svr_cuda_dnn_conv *c,
                                cudnnBackendDescriptor_t *out, svr_error *err)
{
    cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    int64_t space = SPACE, dilations[SPACE] = {1, 1, 1};
    int64_t strides[SPACE] = {c->stride_t, c->stride_s, c->stride_s};
    int64_t before[SPACE] = {0, c->pad_top, c->pad_left};
    int64_t behind[SPACE] = {0, c->pad_bottom, c->pad_right};
    attribute attributes[] = {
        {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &space},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, SPACE, dilations},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, SPACE, strides},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, SPACE, before},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, SPACE, behind},
    };

    SVR_TRY(make(s, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, out, err));
    return FILL(s->dnn, *out, attributes, err);
}

/* What an operation reads and writes. */
typedef struct edge {
    cudnnBackendDescriptor_t a, b, y;
} edge;

static svr_status make_products(svr_cuda_dnn_shape *s, const svr_cuda_dnn_conv *c, const edge *e,
                                cudnnBackendDescriptor_t *out, svr_error *err)
{
    cudnnBackendDescriptor_t geometry;
    float one = 1.0f, zero = 0.0f;

    SVR_TRY(make_geometry(s, c, &geometry, err));
    SVR_TRY(make(s, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, out, err));
    return FILL(
        s->dnn, *out,
        ((attribute[]){
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
             &geometry},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->a},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->b},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->y},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one},
            {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero}}),
        err);
}

static svr_status make_sum(svr_cuda_dnn_shape *s, const edge *e, cudnnBackendDescriptor_t *out,
                           svr_error *err)
{
    cudnnBackendDescriptor_t how;
    cudnnPointwiseMode_t mode = CUDNN_POINTWISE_ADD;
    cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    attribute addition[] = {
        {CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode},
        {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums},
    };

    SVR_TRY(make(s, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, &how, err));
    SVR_TRY(FILL(s->dnn, how, addition, err));
    SVR_TRY(make(s, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, out, err));
    return FILL(
        s->dnn, *out,
        ((attribute[]){
            {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &how},
            {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->a},
            {CUDNN_ATTR_OPERATION_POINTWISE_BDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->b},
            {CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &e->y}}),
        err);
}

/* products (+ residual) + bias, in this order: the only one that cuDNN has compiled engines for. */
static svr_status make_graph(svr_cuda_dnn_shape *s, const svr_cuda_dnn_conv *c,
                             cudnnBackendDescriptor_t *out, svr_error *err)
{
    cudnnDataType_t type = c->dtype == SVR_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF;
    int64_t x_dims[RANK] = {1, c->x[3], c->x[0], c->x[1], c->x[2]};
    int64_t w_dims[RANK] = {c->w[0], c->w[4], c->w[1], c->w[2], c->w[3]};
    int64_t y_dims[RANK] = {1, c->y[3], c->y[0], c->y[1], c->y[2]};
    int64_t bias_dims[RANK] = {1, c->y[3], 1, 1, 1};
    cudnnBackendDescriptor_t x, w, bias, residual, y, product, sum, operations[3];
    int count = 0;

    SVR_TRY(make_tensor(s, X_ID, type, x_dims, &x, err));
    SVR_TRY(make_tensor(s, W_ID, type, w_dims, &w, err));
    SVR_TRY(make_tensor(s, BIAS_ID, type, bias_dims, &bias, err));
    SVR_TRY(make_tensor(s, Y_ID, type, y_dims, &y, err));
    SVR_TRY(make_tensor(s, PRODUCT_ID, CUDNN_DATA_FLOAT, y_dims, &product, err));
    SVR_TRY(make_products(s, c, &(edge){x, w, product}, &operations[count++], err));
    if (c->residual) {
        SVR_TRY(make_tensor(s, RESIDUAL_ID, type, y_dims, &residual, err));
        SVR_TRY(make_tensor(s, SUM_ID, CUDNN_DATA_FLOAT, y_dims, &sum, err));
        SVR_TRY(make_sum(s, &(edge){product, residual, sum}, &operations[count++], err));
        product = sum;
    }
    SVR_TRY(make_sum(s, &(edge){product, bias, y}, &operations[count++], err));
    SVR_TRY(make(s, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, out, err));
    return FILL(s->dnn, *out,
                ((attribute[]){{CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count,
                                operations}}),
                err);
}

/* ---- plans */

/* Engine configurations for a graph, best guess first. */
static svr_status guess_configs(svr_cuda_dnn_shape *s, cudnnBackendDescriptor_t graph,
                                cudnnBackendDescriptor_t *configs, int64_t *count, svr_error *err)
{
    svr_cuda_dnn *d = s->dnn;
    cudnnBackendDescriptor_t heuristics;
    cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    attribute attributes[] = {
        {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph},
        {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode},
        {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d->device},
    };

    SVR_TRY(make(s, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics, err));
    SVR_TRY(FILL(d, heuristics, attributes, err));
    for (int i = 0; i < MOST_CONFIGS; i++)
        SVR_TRY(make(s, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i], err));
    return check(d,
                 d->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                             CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_CONFIGS, count,
                                             configs),
                 "its heuristics", err);
}

/* Tensor cores and none of the habits that change results or take long.  Beyond 2^31 elements cuDNN
 * proposes an engine without tensor cores only, which looks like a hang. */
static bool is_suitable(const svr_cuda_dnn *d, cudnnBackendDescriptor_t engine)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendBehaviorNote_t habits[CUDNN_BEHAVIOR_NOTE_TYPE_COUNT];
    int64_t note_count = 0, habit_count = 0;
    bool tensor_cores = false;

    if (d->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                    CUDNN_TYPE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT,
                                    &note_count, notes) != CUDNN_STATUS_SUCCESS ||
        d->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                    CUDNN_TYPE_BEHAVIOR_NOTE, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT,
                                    &habit_count, habits) != CUDNN_STATUS_SUCCESS)
        return false;
    for (int64_t i = 0; i < note_count; i++) {
        if (notes[i] != CUDNN_NUMERICAL_NOTE_TENSOR_CORE &&
            notes[i] != CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP)
            return false;
        tensor_cores |= notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    }
    for (int64_t i = 0; i < habit_count; i++)
        if (habits[i] == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION)
            return false;
    return tensor_cores;
}

/* Whether the configuration's engine is suitable, and its number. */
static svr_status look_at_engine(svr_cuda_dnn_shape *s, cudnnBackendDescriptor_t config,
                                 bool *suitable, int64_t *number, svr_error *err)
{
    svr_cuda_dnn *d = s->dnn;
    cudnnBackendDescriptor_t engine;
    int64_t count = 0;

    SVR_TRY(make(s, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine, err));
    SVR_TRY(check(d,
                  d->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine),
                  "an engine", err));
    SVR_TRY(check(d,
                  d->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX,
                                              CUDNN_TYPE_INT64, 1, &count, number),
                  "an engine's number", err));
    *suitable = is_suitable(d, engine);
    return SVR_OK;
}

/* Adds the plan of a configuration where it is suitable; an error says why it cannot be had. */
static svr_status add_plan(svr_cuda_dnn_shape *s, cudnnBackendDescriptor_t config, svr_error *err)
{
    svr_cuda_dnn *d = s->dnn;
    plan p;
    int64_t bytes = 0, count = 0;
    bool suitable;
    attribute attributes[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config},
        {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d->device},
    };

    SVR_TRY(look_at_engine(s, config, &suitable, &p.engine, err));
    if (!suitable)
        return SVR_OK;
    SVR_TRY(make(s, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &p.descriptor, err));
    SVR_TRY(FILL(d, p.descriptor, attributes, err));
    SVR_TRY(
        check(d,
              d->cudnnBackendGetAttribute(p.descriptor, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                          CUDNN_TYPE_INT64, 1, &count, &bytes),
              "a plan's workspace", err));
    if (bytes < 0 || bytes > SVR_CUDA_DNN_WORKSPACE_BYTES)
        return SVR_OK;
    p.workspace = (size_t) bytes;
    s->plans[s->plan_count++] = p;
    return SVR_OK;
}

static svr_status add_plans(svr_cuda_dnn_shape *s, const svr_cuda_dnn_conv *c, int most,
                            svr_error *err)
{
    cudnnBackendDescriptor_t graph, configs[MOST_CONFIGS];
    svr_error why = {.code = SVR_OK};
    int64_t count = 0;

    SVR_TRY(make_graph(s, c, &graph, err));
    SVR_TRY(guess_configs(s, graph, configs, &count, err));
    for (int64_t i = 0; i < count && s->plan_count < most; i++) {
        svr_error_clear(&why);
        if (add_plan(s, configs[i], &why) != SVR_OK)
            svr_log_write(s->dnn->log, SVR_LOG_TRACE, "conv", "proposal %d of cuDNN: %s", (int) i,
                          why.text);
    }
    if (s->plan_count == 0)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED, "cuDNN has no suitable engine for this shape");
    return SVR_OK;
}

svr_status svr_cuda_dnn_shape_create(svr_cuda_dnn *d, const svr_cuda_dnn_conv *conv, int most,
                                     svr_cuda_dnn_shape **out, svr_error *err)
{
    svr_cuda_dnn_shape *s = calloc(1, sizeof *s);
    svr_status status;

    if (!s)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for a convolution of cuDNN");
    s->dnn = d;
    s->residual = conv->residual;
    status = add_plans(s, conv, most, err);
    if (status != SVR_OK) {
        svr_cuda_dnn_shape_destroy(s);
        return status;
    }
    *out = s;
    return SVR_OK;
}

void svr_cuda_dnn_shape_destroy(svr_cuda_dnn_shape *s)
{
    if (!s)
        return;
    while (s->owned_count > 0)
        (void) s->dnn->cudnnBackendDestroyDescriptor(s->owned[--s->owned_count]);
    free(s);
}

int svr_cuda_dnn_plans(const svr_cuda_dnn_shape *s)
{
    return s->plan_count;
}

int64_t svr_cuda_dnn_plan_engine(const svr_cuda_dnn_shape *s, int plan_index)
{
    return s->plans[plan_index].engine;
}

size_t svr_cuda_dnn_plan_workspace(const svr_cuda_dnn_shape *s, int plan_index)
{
    return s->plans[plan_index].workspace;
}

/* ---- running */

static svr_status execute(const svr_cuda_dnn_shape *s, int plan_index,
                          const svr_cuda_dnn_operands *o, cudnnBackendDescriptor_t pack,
                          svr_error *err)
{
    svr_cuda_dnn *d = s->dnn;
    int64_t names[] = {X_ID, W_ID, BIAS_ID, Y_ID, RESIDUAL_ID};
    const void *addresses[] = {o->x, o->w, o->bias, o->y, o->residual};
    int64_t count = s->residual ? 5 : 4;
    attribute attributes[] = {
        {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, names},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, addresses},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &o->workspace},
    };

    SVR_TRY(FILL(d, pack, attributes, err));
    return check(d, d->cudnnBackendExecute(d->handle, s->plans[plan_index].descriptor, pack),
                 "running a convolution", err);
}

svr_status svr_cuda_dnn_run(const svr_cuda_dnn_shape *s, int plan_index,
                            const svr_cuda_dnn_operands *operands, svr_error *err)
{
    svr_cuda_dnn *d = s->dnn;
    cudnnBackendDescriptor_t pack = NULL;
    svr_status status =
        check(d, d->cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack),
              "a descriptor", err);

    if (status == SVR_OK) {
        status = execute(s, plan_index, operands, pack, err);
        (void) d->cudnnBackendDestroyDescriptor(pack);
    }
    return status == SVR_OK ? SVR_OK : failed_as(SVR_ERR_DEVICE, err);
}
