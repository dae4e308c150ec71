/* Convolutions as cuDNN can run them: which of its engines are suitable, and running them. */
#include "cuda_dnn_internal.h"

#include <stdlib.h>

enum { MOST_CONFIGS = 32 /* that are asked of the heuristics */ };

typedef struct plan {
    cudnnBackendDescriptor_t descriptor;
    int64_t engine;
    size_t workspace;
} plan;

struct svr_cuda_dnn_shape {
    svr_cuda_dnn *dnn;
    bool residual;
    svr_cuda_dnn_descriptors owned; /* all that was made */
    plan plans[MOST_CONFIGS];
    int plan_count;
};

/* ---- plans */

/* Engine configurations for a graph, best guess first. */
static svr_status guess_configs(svr_cuda_dnn_shape *s, cudnnBackendDescriptor_t graph,
                                cudnnBackendDescriptor_t *configs, int64_t *count, svr_error *err)
{
    svr_cuda_dnn *d = s->dnn;
    cudnnBackendDescriptor_t heuristics;
    cudnnBackendHeurMode_t mode = CUDNN_HEUR_MODE_A;
    svr_cuda_dnn_attribute attributes[] = {
        {CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph},
        {CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode},
        {CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d->device},
    };

    SVR_TRY(svr_cuda_dnn_make(&s->owned, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics, err));
    SVR_TRY(SVR_CUDA_DNN_FILL(d, heuristics, attributes, err));
    for (int i = 0; i < MOST_CONFIGS; i++)
        SVR_TRY(svr_cuda_dnn_make(&s->owned, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i], err));
    return svr_cuda_dnn_check(d,
                              d->cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                          CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                                          MOST_CONFIGS, count, configs),
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

    SVR_TRY(svr_cuda_dnn_make(&s->owned, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine, err));
    SVR_TRY(svr_cuda_dnn_check(d,
                               d->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                                           CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count,
                                                           &engine),
                               "an engine", err));
    SVR_TRY(svr_cuda_dnn_check(d,
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
    svr_cuda_dnn_attribute attributes[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config},
        {CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &d->device},
    };

    SVR_TRY(look_at_engine(s, config, &suitable, &p.engine, err));
    if (!suitable)
        return SVR_OK;
    SVR_TRY(
        svr_cuda_dnn_make(&s->owned, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &p.descriptor, err));
    SVR_TRY(SVR_CUDA_DNN_FILL(d, p.descriptor, attributes, err));
    SVR_TRY(svr_cuda_dnn_check(d,
                               d->cudnnBackendGetAttribute(p.descriptor,
                                                           CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
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

    SVR_TRY(svr_cuda_dnn_make_graph(&s->owned, c, &graph, err));
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
    s->owned.dnn = d;
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
    svr_cuda_dnn_release(&s->owned);
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
    int64_t names[] = {SVR_CUDA_DNN_X_ID, SVR_CUDA_DNN_W_ID, SVR_CUDA_DNN_BIAS_ID,
                       SVR_CUDA_DNN_Y_ID, SVR_CUDA_DNN_RESIDUAL_ID};
    const void *addresses[] = {o->x, o->w, o->bias, o->y, o->residual};
    int64_t count = s->residual ? 5 : 4;
    svr_cuda_dnn_attribute attributes[] = {
        {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, names},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, addresses},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &o->workspace},
    };

    SVR_TRY(SVR_CUDA_DNN_FILL(d, pack, attributes, err));
    return svr_cuda_dnn_check(
        d, d->cudnnBackendExecute(d->handle, s->plans[plan_index].descriptor, pack),
        "running a convolution", err);
}

svr_status svr_cuda_dnn_run(const svr_cuda_dnn_shape *s, int plan_index,
                            const svr_cuda_dnn_operands *operands, svr_error *err)
{
    svr_cuda_dnn *d = s->dnn;
    cudnnBackendDescriptor_t pack = NULL;
    svr_status status = svr_cuda_dnn_check(
        d, d->cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack),
        "a descriptor", err);

    if (status == SVR_OK) {
        status = execute(s, plan_index, operands, pack, err);
        (void) d->cudnnBackendDestroyDescriptor(pack);
    }
    return status == SVR_OK ? SVR_OK : svr_cuda_dnn_failed_as(SVR_ERR_DEVICE, err);
}
