#include "cuda_conv_choice.h"

#include <stdio.h>
#include <stdlib.h>

/* Of cuDNN's plans for a shape the first few are measured: they come best guess first, and the rest
 * would cost more time than they can be expected to save. */
enum { MOST_PLANS = 4 };

typedef struct pick {
    svr_conv_key key;
    svr_cuda_dnn_shape *shape; /* NULL: the own kernels */
    int plan;
} pick;

struct svr_cuda_conv_choices {
    svr_cuda_dnn_use use;
    svr_cuda_dnn *dnn;
    svr_conv_cache *cache;
    pick *picks;
    int count, capacity;
};

/* ---- opening */

/* What a choice is valid for. */
static svr_status identify(const svr_cuda_backend *b, const svr_cuda_dnn *dnn, char *text,
                           size_t size, svr_error *err)
{
    struct cudaDeviceProp device;
    int driver = 0;

    SVR_TRY(svr_cuda_check(cudaGetDeviceProperties(&device, b->context.device),
                           "cudaGetDeviceProperties", err));
    SVR_TRY(svr_cuda_check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion", err));
    snprintf(text, size, "%s, capability %d, driver %d, cuDNN %d, seedvr2 %s", device.name,
             b->capability, driver, svr_cuda_dnn_version(dnn), SVR_VERSION);
    return SVR_OK;
}

static svr_status open_choices(svr_cuda_backend *b, const svr_cuda_options *options,
                               struct svr_cuda_conv_choices *c, svr_error *err)
{
    bool remembers = options->dnn == SVR_CUDA_DNN_MEASURED;
    char identity[512];

    c->use = options->dnn;
    SVR_TRY(svr_cuda_dnn_open(b->context.device, b->stream, &b->log, &c->dnn, err));
    SVR_TRY(identify(b, c->dnn, identity, sizeof identity, err));
    c->cache = svr_conv_cache_open(remembers ? options->cache_folder : NULL, identity, &b->log);
    if (!c->cache)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for choices of convolutions");
    svr_log_write(&b->log, SVR_LOG_DEBUG, "conv", "choices for %s, kept in %s", identity,
                  svr_conv_cache_path(c->cache) ? svr_conv_cache_path(c->cache) : "memory");
    return SVR_OK;
}

svr_status svr_cuda_conv_choices_open(svr_cuda_backend *b, const svr_cuda_options *options,
                                      svr_error *err)
{
    struct svr_cuda_conv_choices *c;
    svr_error why = {.code = SVR_OK};
    svr_status status;

    if (options->dnn == SVR_CUDA_DNN_OFF)
        return SVR_OK;
    c = calloc(1, sizeof *c);
    if (!c)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for choices of convolutions");
    status = open_choices(b, options, c, &why);
    if (status == SVR_OK) {
        b->conv_choices = c;
        return SVR_OK;
    }
    svr_cuda_conv_choices_close(c);
    if (options->dnn == SVR_CUDA_DNN_MEASURED && status == SVR_ERR_NO_DEVICE) {
        svr_log_write(&b->log, SVR_LOG_INFO, "conv", "convolutions take the own kernels: %s",
                      why.text);
        return SVR_OK;
    }
    if (err)
        *err = why;
    return status;
}

void svr_cuda_conv_choices_close(struct svr_cuda_conv_choices *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->count; i++)
        svr_cuda_dnn_shape_destroy(c->picks[i].shape);
    free(c->picks);
    svr_conv_cache_close(c->cache);
    svr_cuda_dnn_close(c->dnn);
    free(c);
}

/* ---- choosing */

static const pick *find(const struct svr_cuda_conv_choices *c, const svr_conv_key *key)
{
    for (int i = 0; i < c->count; i++)
        if (svr_conv_key_equal(&c->picks[i].key, key))
            return &c->picks[i];
    return NULL;
}

/* NULL when there is no memory. */
static pick *append(struct svr_cuda_conv_choices *c, const svr_conv_key *key)
{
    if (c->count == c->capacity) {
        int capacity = c->capacity ? 2 * c->capacity : 64;
        pick *more = realloc(c->picks, (size_t) capacity * sizeof *more);

        if (!more)
            return NULL;
        c->picks = more;
        c->capacity = capacity;
    }
    c->picks[c->count] = (pick){.key = *key};
    return &c->picks[c->count++];
}

static void log_choice(const svr_cuda_backend *b, const svr_conv3d_args *args,
                       const svr_conv_choice *choice, const char *from)
{
    const int64_t *w = args->w.dims;
    char x[128], way[64] = "own kernel";

    if (choice->plan >= 0)
        snprintf(way, sizeof way, "cuDNN, plan %d, engine %lld", choice->plan,
                 (long long) choice->engine);
    svr_log_write(
        &b->log, SVR_LOG_DEBUG, "conv",
        "%s, %lldx%lldx%lld to %lld, stride %d %d, before %lld%s: own %.3f ms, cuDNN %.3f "
        "ms (%s): %s",
        svr_tensor_describe(&args->x, x, sizeof x), (long long) w[1], (long long) w[2],
        (long long) w[3], (long long) w[0], args->stride_t, args->stride_s,
        (long long) svr_conv3d_before(args),
        svr_tensor_present(&args->residual) ? ", residual" : "", (double) choice->own_us / 1e3,
        (double) choice->dnn_us / 1e3, from, way);
}

/* Whether a choice of cuDNN from the cache still means a plan of this list. */
static bool still_holds(const svr_conv_choice *choice, const svr_cuda_dnn_shape *shape)
{
    return choice->plan < svr_cuda_dnn_plans(shape) &&
           svr_cuda_dnn_plan_engine(shape, choice->plan) == choice->engine;
}

/* The choice for a shape that the cache does not know. */
static svr_conv_choice decide(svr_cuda_backend *b, const svr_conv3d_args *args,
                              const svr_conv_key *key, const svr_cuda_dnn_shape *shape)
{
    struct svr_cuda_conv_choices *c = b->conv_choices;
    svr_conv_choice choice = {.plan = 0, .engine = svr_cuda_dnn_plan_engine(shape, 0)};

    if (c->use == SVR_CUDA_DNN_WHEREVER) {
        log_choice(b, args, &choice, "not measured");
        return choice;
    }
    choice = svr_cuda_conv_measure(b, args, shape);
    svr_conv_cache_put(c->cache, key, &choice);
    log_choice(b, args, &choice, choice.for_now ? "measuring failed" : "measured");
    return choice;
}

/* In the backend's context: fills in a new pick, which is for the own kernels so far. */
static void settle_inside(svr_cuda_backend *b, const svr_conv3d_args *args,
                          const svr_cuda_dnn_conv *conv, pick *p)
{
    struct svr_cuda_conv_choices *c = b->conv_choices;
    svr_error why = {.code = SVR_OK};
    svr_cuda_dnn_shape *shape;
    svr_conv_choice choice;
    bool known = svr_conv_cache_find(c->cache, &p->key, &choice);

    if (known && choice.plan < 0) {
        log_choice(b, args, &choice, "from the cache");
        return;
    }
    if (svr_cuda_dnn_shape_create(c->dnn, conv, MOST_PLANS, &shape, &why) != SVR_OK) {
        svr_log_write(&b->log, SVR_LOG_DEBUG, "conv", "own kernel: %s", why.text);
        return;
    }
    if (known && still_holds(&choice, shape))
        log_choice(b, args, &choice, "from the cache");
    else
        choice = decide(b, args, &p->key, shape);
    if (choice.plan < 0) {
        svr_cuda_dnn_shape_destroy(shape);
        return;
    }
    p->shape = shape;
    p->plan = choice.plan;
}

/* The same from anywhere: a plan asks outside of the context, an op inside.  Where it cannot be
 * entered, the own kernels stay the choice, so that the run cannot differ from the plan. */
static void settle(svr_cuda_backend *b, const svr_conv3d_args *args, const svr_cuda_dnn_conv *conv,
                   pick *p)
{
    if (svr_cuda_context_enter(&b->context, NULL) != SVR_OK)
        return;
    settle_inside(b, args, conv, p);
    svr_cuda_context_leave(&b->context);
}

bool svr_cuda_conv_choose(svr_cuda_backend *b, const svr_conv3d_args *args,
                          svr_cuda_conv_plan *plan)
{
    svr_conv_key key;
    svr_cuda_dnn_conv conv;
    const pick *known;

    if (!b->conv_choices || !svr_cuda_conv3d_dnn_serves(args, &conv))
        return false;
    key = svr_conv_key_of(args);
    known = find(b->conv_choices, &key);
    if (!known) {
        pick *p = append(b->conv_choices, &key);

        if (p)
            settle(b, args, &conv, p);
        known = p;
    }
    if (!known || !known->shape)
        return false;
    *plan = (svr_cuda_conv_plan){known->shape, known->plan};
    return true;
}
