#include "bench_flops.h"

#include "bench_cost.h"

/* The exec that network code gets, with the sum behind it. */
typedef struct counting_exec {
    svr_exec exec; /* first: ops are handed a pointer to it */
    double flop;
} counting_exec;

/* Every op adds up what it would compute. */
#define COUNT_OP(name)                                                                             \
    static svr_status count_##name(svr_exec *exec, const svr_##name##_args *args, void *workspace, \
                                   svr_error *err)                                                 \
    {                                                                                              \
        (void) workspace, (void) err;                                                              \
        ((counting_exec *) exec)->flop += bench_cost_##name(args).flop;                            \
        return SVR_OK;                                                                             \
    }

SVR_OP_LIST(COUNT_OP)

/* Sizes of the batch, in pixels and latent pixels. */
typedef struct batch {
    const svr_networks *networks;
    int64_t frames, height, width, t, h, w;
} batch;

/* What was added since the last call. */
static double take(counting_exec *counting)
{
    double flop = counting->flop;

    counting->flop = 0;
    return flop;
}

static svr_status count_phases(const batch *b, counting_exec *counting, bench_flops *out,
                               svr_error *err)
{
    const svr_networks *net = b->networks;
    svr_exec *exec = &counting->exec;
    svr_tensor x, latent, x_t, v, y;
    svr_prediction prediction = {.x_t = &x_t, .v = &v, .timestep = 1000.0f};

    SVR_TRY(
        svr_exec_alloc(exec, net->storage, SVR_DIMS(b->frames, b->height, b->width, 3), &x, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(b->t, b->h, b->w, net->latent_channels), &latent,
                           err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, latent.rank, latent.dims, &x_t, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, latent.rank, latent.dims, &v, err));
    y = x;
    y.dtype = SVR_F32;
    SVR_TRY(net->encode(net->user, exec, &x, &latent, err));
    out->encode = take(counting);
    SVR_TRY(net->predict(net->user, exec, &latent, &prediction, err));
    out->dit = take(counting);
    SVR_TRY(net->decode(net->user, exec, &latent, b->frames, &y, err));
    out->decode = take(counting);
    return SVR_OK;
}

static svr_ops counted_ops(const svr_ops *others)
{
    svr_ops ops = *others;

    /* what the backend lacks stays absent */
#define FILL_OP(name) ops.name = ops.name ? count_##name : NULL;
    SVR_OP_LIST(FILL_OP)
#undef FILL_OP
    return ops;
}

static svr_status count_on(svr_backend *counting_backend, const batch *b, bench_flops *out,
                           svr_error *err)
{
    counting_exec counting = {.exec = {.backend = counting_backend, .every_op = true}};
    svr_status status;

    counting.exec.scratch = svr_scratch_create_counting();
    if (!counting.exec.scratch)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to count operations");
    status = count_phases(b, &counting, out, err);
    svr_scratch_destroy(counting.exec.scratch);
    return status;
}

svr_status bench_count_flops(svr_backend *backend, const svr_networks *networks,
                             const int frames_height_width[3], bench_flops *out, svr_error *err)
{
    batch b = {.networks = networks,
               .frames = frames_height_width[0],
               .height = frames_height_width[1],
               .width = frames_height_width[2]};
    svr_backend *counting;
    svr_status status;
    svr_ops ops;
    int latent[3];

    b.t = (b.frames - 1) / networks->temporal_factor + 1;
    b.h = b.height / networks->spatial_factor;
    b.w = b.width / networks->spatial_factor;
    latent[0] = (int) b.t;
    latent[1] = (int) b.h;
    latent[2] = (int) b.w;
    if (networks->prepare)
        SVR_TRY(networks->prepare(networks->user, latent, err));
    counting = svr_counting_backend_create(backend);
    if (!counting)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to count operations");
    ops = counted_ops(counting->ops);
    counting->ops = &ops;
    status = count_on(counting, &b, out, err);
    svr_backend_destroy(counting);
    return status;
}
