#include "pipeline/model_internal.h"

#include "backend/ops.h"
#include "dit/sampler.h"

#include <assert.h>
#include <stdlib.h>

/* Frames are padded to multiples of this whatever the network's own grid (spec pipeline §3.1). */
enum { FRAME_GRID = 16 };

/* ------------------------------------------------------------------ the networks */

/* y = alpha * x + offset; y may be x. */
static svr_status affine(svr_exec *exec, const svr_tensor *x, float alpha, float offset,
                         const svr_tensor *y, svr_error *err)
{
    svr_lincomb_args scale = {.a = *x, .y = *y, .alpha = alpha};
    svr_tensor constant = {0};

    if (offset != 0.0f) {
        SVR_TRY(svr_exec_alloc(exec, SVR_F32, x->rank, x->dims, &constant, err));
        svr_lincomb_args fill = {
            .a = *x, .y = constant, .alpha = 0.0f, .clamp = true, .lo = offset, .hi = offset};
        SVR_TRY(svr_op_lincomb(exec, &fill, err));
        scale.b = constant;
        scale.beta = 1.0f;
    }
    SVR_TRY(svr_op_lincomb(exec, &scale, err));
    svr_exec_free(exec, &constant);
    return SVR_OK;
}

static svr_status prepare(void *user, const int latent[3], svr_error *err)
{
    svr_model *m = user;

    return svr_constants_prepare(&m->constants, latent, err);
}

static void forget(void *user)
{
    svr_model *m = user;

    svr_constants_forget(&m->constants);
}

static svr_status place(void *user, const svr_placement *placement, svr_weight_need *need,
                        svr_error *err)
{
    return svr_model_place(user, placement, need, err);
}

static svr_status load(void *user, const svr_cancel *cancel, svr_error *err)
{
    return svr_model_load(user, cancel, err);
}

/* Weights on their way before they are needed, behind those that are needed first.  What an earlier
 * batch left when it failed is forgotten. */
static svr_status begin_passes(svr_model *m, svr_exec *exec, svr_error *err)
{
    svr_store_forget(m->vae_store);
    svr_store_forget(m->dit_store);
    if (!m->placement.ahead)
        return SVR_OK;
    SVR_TRY(svr_store_begin(m->vae_store, exec, SVR_VAE_GROUP_ENCODER, 1, err));
    return svr_store_begin(m->dit_store, exec, 0, m->dit_config.layers, err);
}

/* latent = (z - shift) * scale */
static svr_status encode(void *user, svr_exec *exec, svr_tensor *x, const svr_tensor *latent,
                         svr_error *err)
{
    svr_model *m = user;
    float scale = m->vae_config.scaling_factor;

    SVR_TRY(begin_passes(m, exec, err));
    SVR_TRY(svr_vae_encode_consume(exec, m->vae, &m->placement.cut, x, latent, err));
    if (m->placement.ahead)
        SVR_TRY(svr_store_begin(m->vae_store, exec, SVR_VAE_GROUP_DECODER, 1, err));
    return affine(exec, latent, scale, -m->vae_config.shifting_factor * scale, latent, err);
}

/* z = latent / scale + shift */
static svr_status decode(void *user, svr_exec *exec, const svr_tensor *latent, int64_t frames,
                         svr_tensor *y, svr_error *err)
{
    svr_model *m = user;
    svr_tensor z;

    SVR_TRY(svr_exec_alloc(exec, m->storage, latent->rank, latent->dims, &z, err));
    SVR_TRY(affine(exec, latent, 1.0f / m->vae_config.scaling_factor, m->vae_config.shifting_factor,
                   &z, err));
    SVR_TRY(svr_vae_decode_new(exec, m->vae, &m->placement.cut, &z, frames, y, err));
    svr_exec_free(exec, &z);
    return SVR_OK;
}

/* `out` = src in the storage type: a view when it has it already, else a copy in scratch. */
static svr_status to_storage(const svr_model *m, svr_exec *exec, const svr_tensor *src,
                             svr_tensor *out, svr_error *err)
{
    if (src->dtype == m->storage) {
        *out = *src;
        return SVR_OK;
    }
    SVR_TRY(svr_exec_alloc(exec, m->storage, src->rank, src->dims, out, err));
    svr_copy_args copy = {.src = *src, .dst = *out};
    return svr_op_copy(exec, &copy, err);
}

static svr_status predict(void *user, svr_exec *exec, const svr_tensor *cond,
                          const svr_prediction *p, svr_error *err)
{
    svr_model *m = user;
    int grid[3] = {(int) cond->dims[0], (int) cond->dims[1], (int) cond->dims[2]};
    svr_dit_io io = {.geometry = svr_constants_geometry(&m->constants, grid, p->negative),
                     .v = *p->v};

    assert(io.geometry);
    SVR_TRY(svr_constants_condition(&m->constants, p->timestep, p->negative, &io.condition, err));
    SVR_TRY(to_storage(m, exec, p->x_t, &io.x_t, err));
    SVR_TRY(to_storage(m, exec, cond, &io.cond, err));
    SVR_TRY(svr_dit_forward(exec, m->dit, &io, err));
    if (io.cond.data != cond->data)
        svr_exec_free(exec, &io.cond);
    if (io.x_t.data != p->x_t->data)
        svr_exec_free(exec, &io.x_t);
    return SVR_OK;
}

/* ------------------------------------------------------------------ open */

static int least_common_multiple(int a, int b)
{
    int x = a, y = b;

    while (y != 0) {
        int rest = x % y;

        x = y;
        y = rest;
    }
    return a / x * b;
}

static svr_networks make_networks(svr_model *m)
{
    int spatial = svr_vae_spatial_factor(&m->vae_config);

    return (svr_networks){
        .user = m,
        .storage = m->storage,
        .spatial_factor = spatial,
        .temporal_factor = svr_vae_temporal_factor(&m->vae_config),
        .grid_multiple = least_common_multiple(spatial * m->dit_config.patch, FRAME_GRID),
        .latent_channels = m->vae_config.latent_channels,
        .has_negative = m->prompts.negative.values != NULL,
        .weights = svr_model_describe_weights,
        .place = place,
        .load = load,
        .prepare = prepare,
        .forget = forget,
        .encode = encode,
        .predict = predict,
        .decode = decode,
    };
}

static const char *name_of(const svr_safetensors *file)
{
    return file ? svr_safetensors_path(file) : "the published network";
}

static svr_status check_fit(const svr_model *m, svr_error *err)
{
    int channels = m->vae_config.latent_channels;

    if (m->dit_config.out_channels == channels && m->dit_config.in_channels == 2 * channels + 1)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_INVALID,
                    "%s makes latents of %d channels, but %s takes %d and gives %d: set model and "
                    "vae-model to files that belong together",
                    name_of(m->vae_file), channels, name_of(m->dit_file), m->dit_config.in_channels,
                    m->dit_config.out_channels);
}

/* Not 0, which would mean that a layer adds nothing. */
static svr_status stand_in(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                           float *dst, svr_error *err)
{
    (void) user, (void) spec, (void) first, (void) err;
    for (size_t i = 0; i < count; i++)
        dst[i] = 1.0f;
    return SVR_OK;
}

static svr_status open_vae(svr_model *m, const char *path, svr_error *err)
{
    if (!path) {
        m->vae_config = svr_vae_config_published();
        return svr_weights_generate_vae(&m->vae_config, stand_in, NULL, &m->vae_weights, err);
    }
    SVR_TRY(svr_safetensors_open(path, &m->vae_file, err));
    SVR_TRY(svr_vae_config_read(m->vae_file, &m->vae_config, err));
    return svr_weights_bind_vae(m->vae_file, &m->vae_config, &m->vae_weights, err);
}

static svr_status open_dit(svr_model *m, const svr_model_options *o, svr_error *err)
{
    if (!o->dit_path) {
        m->dit_config = svr_dit_config_published(o->published);
        SVR_TRY(svr_weights_generate_dit(&m->dit_config, stand_in, NULL, &m->dit_weights, err));
        return svr_prompts_published(m->dit_config.txt_in, &m->prompts, err);
    }
    SVR_TRY(svr_safetensors_open(o->dit_path, &m->dit_file, err));
    SVR_TRY(svr_dit_config_read(m->dit_file, &m->dit_config, err));
    SVR_TRY(svr_weights_bind_dit(m->dit_file, &m->dit_config, &m->dit_weights, err));
    return svr_prompts_init(o->text_path, m->dit_file, &m->dit_config, o->negative, &m->prompts,
                            err);
}

static svr_status open_files(svr_model *m, const svr_model_options *o, svr_error *err)
{
    SVR_TRY(open_vae(m, o->vae_path, err));
    SVR_TRY(open_dit(m, o, err));
    return check_fit(m, err);
}

svr_status svr_model_declare(svr_model *m, svr_error *err)
{
    svr_dtype factors = svr_quantization_factors(m->quantization, m->dit_weights);

    SVR_TRY(svr_store_create(m->backend, m->vae_weights, m->storage, SVR_VAE_GROUPS, &m->vae_store,
                             err));
    SVR_TRY(svr_vae_create(&m->vae_config, m->vae_store, &m->vae, err));
    SVR_TRY(svr_store_create(m->backend, m->dit_weights, m->storage, svr_dit_groups(&m->dit_config),
                             &m->dit_store, err));
    if (factors != SVR_F32)
        SVR_TRY(svr_store_quantize(m->dit_store, factors, err));
    SVR_TRY(svr_dit_create(&m->dit_config, m->dit_store, &m->dit, err));
    if (m->quantization == SVR_QUANTIZATION_INT8_W8A8)
        svr_dit_quantize_activations(m->dit);
    m->constants = (svr_constants){.backend = m->backend, .dit = m->dit, .prompts = &m->prompts};
    return svr_model_place(m, &m->placement, NULL, err);
}

static void undeclare(svr_model *m)
{
    svr_constants_finish(&m->constants);
    svr_dit_destroy(m->dit);
    svr_store_destroy(m->dit_store);
    svr_vae_destroy(m->vae);
    svr_store_destroy(m->vae_store);
    m->dit = NULL;
    m->vae = NULL;
    m->dit_store = m->vae_store = NULL;
}

svr_status svr_model_open(svr_backend *backend, const svr_model_options *options, svr_model **out,
                          svr_error *err)
{
    svr_model *m = calloc(1, sizeof *m);
    svr_status status;

    if (!m)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for a model");
    assert(options->steps >= 1 && options->steps <= SVR_MAX_STEPS);
    m->backend = backend;
    m->storage = options->storage;
    m->quantization = options->quantization;
    m->placement = svr_placement_default();
    m->steps = options->steps;
    m->negative = options->negative;
    status = open_files(m, options, err);
    if (status == SVR_OK)
        status = svr_model_declare(m, err);
    if (status != SVR_OK) {
        svr_model_close(m);
        return status;
    }
    m->networks = make_networks(m);
    svr_log_write(options->log, SVR_LOG_INFO, "model", "%s: %s; %s: VAE; %llu MiB of weights",
                  name_of(m->dit_file), svr_model_kind_name(m->dit_config.kind),
                  name_of(m->vae_file), (unsigned long long) (svr_model_weight_bytes(m) >> 20));
    *out = m;
    return SVR_OK;
}

void svr_model_close(svr_model *m)
{
    if (!m)
        return;
    undeclare(m);
    svr_prompts_finish(&m->prompts);
    svr_weights_destroy(m->dit_weights);
    svr_weights_destroy(m->vae_weights);
    svr_safetensors_close(m->dit_file);
    svr_safetensors_close(m->vae_file);
    free(m->resident);
    free(m);
}

/* ------------------------------------------------------------------ load */

/* Progress of one store as part of both. */
typedef struct joint_progress {
    svr_store_progress report; /* may be NULL */
    void *user;
    uint64_t before, total;
} joint_progress;

static void report_joint(void *user, uint64_t done, uint64_t total)
{
    const joint_progress *p = user;

    (void) total;
    if (p->report)
        p->report(p->user, p->before + done, p->total);
}

static uint64_t store_bytes(const svr_store *store, int groups)
{
    uint64_t bytes = 0;

    for (int i = 0; i < groups; i++)
        bytes += svr_store_group_bytes(store, i);
    return bytes;
}

static svr_status load_weights(svr_model *m, const svr_cancel *cancel, joint_progress *progress,
                               svr_error *err)
{
    int groups = svr_dit_groups(&m->dit_config);
    svr_store_watch watch = {cancel, report_joint, progress};

    SVR_TRY(svr_store_load(m->dit_store, 0, groups, &watch, err));
    progress->before = store_bytes(m->dit_store, groups);
    SVR_TRY(svr_store_load(m->vae_store, 0, SVR_VAE_GROUPS, &watch, err));
    /* stores count values, the total counts their alignment too */
    progress->before = progress->total;
    report_joint(progress, 0, 0);
    return SVR_OK;
}

static svr_status fold_constants(svr_model *m, const svr_cancel *cancel, svr_error *err)
{
    float timesteps[SVR_MAX_STEPS];
    const svr_dit_condition *made;

    svr_sampler_timesteps(m->steps, timesteps);
    for (int i = 0; i < m->steps; i++) {
        if (svr_cancel_raised(cancel))
            return SVR_FAIL(err, SVR_ERR_CANCELLED, "loading was stopped on request");
        SVR_TRY(svr_constants_condition(&m->constants, timesteps[i], false, &made, err));
        if (m->negative)
            SVR_TRY(svr_constants_condition(&m->constants, timesteps[i], true, &made, err));
    }
    return SVR_OK;
}

svr_status svr_model_load(svr_model *m, const svr_cancel *cancel, svr_error *err)
{
    joint_progress joint = {.report = m->progress, .user = m->progress_user};
    svr_status status = m->dit ? SVR_OK : svr_model_declare(m, err);

    joint.total = status == SVR_OK ? svr_model_weight_bytes(m) : 0;
    if (status == SVR_OK)
        status = load_weights(m, cancel, &joint, err);
    if (status == SVR_OK)
        status = fold_constants(m, cancel, err);
    /* what was loaded goes, so that another attempt begins from nothing */
    if (status != SVR_OK)
        undeclare(m);
    return status;
}

void svr_model_set_storage(svr_model *m, svr_dtype storage)
{
    undeclare(m);
    m->storage = m->networks.storage = storage;
}

/* ------------------------------------------------------------------ queries */

const svr_networks *svr_model_networks(svr_model *m)
{
    return &m->networks;
}

svr_dtype svr_model_factor_type(const svr_model *m)
{
    return m->dit_store ? svr_store_factor_type(m->dit_store) : m->storage;
}

uint64_t svr_model_weight_bytes(const svr_model *m)
{
    if (!m->dit)
        return 0;
    return store_bytes(m->dit_store, svr_dit_groups(&m->dit_config)) +
           store_bytes(m->vae_store, SVR_VAE_GROUPS);
}
