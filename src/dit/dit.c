#include "dit/dit_internal.h"

#include "backend/ops.h"
#include "base/checked.h"

#include <assert.h>

int svr_dit_groups(const svr_dit_config *config)
{
    return config->layers + 1;
}

/* What this network code can compute. */
static svr_status check_config(const svr_dit_config *config, svr_error *err)
{
    if (config->kind != SVR_MODEL_DIT_3B && config->kind != SVR_MODEL_DIT_7B)
        return SVR_FAIL(err, SVR_ERR_INVALID, "a %s is not a transformer; choose a DiT file",
                        svr_model_kind_name(config->kind));
    if (config->in_channels != 2 * config->out_channels + 1)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "a transformer with %d input and %d output channels; supported are twice "
                        "the output channels plus one for the mask",
                        config->in_channels, config->out_channels);
    return SVR_OK;
}

svr_status svr_dit_create(const svr_dit_config *config, svr_store *store, svr_dit **out,
                          svr_error *err)
{
    svr_dit *dit = NULL;

    SVR_TRY(check_config(config, err));
    svr_arena *arena = svr_arena_create();
    if (arena)
        dit = svr_arena_alloc(arena, 1, sizeof(*dit));
    if (!dit) {
        svr_arena_destroy(arena);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the transformer");
    }
    *dit = (svr_dit){.config = *config,
                     .store = store,
                     .storage = svr_store_storage(store),
                     .multiplied = svr_store_factor_type(store) == SVR_F8_E4M3
                                       ? SVR_F8_E4M3
                                       : svr_store_storage(store),
                     .arena = arena,
                     .blocks = svr_arena_alloc(arena, (size_t) config->layers, sizeof(dit_block))};
    svr_status status =
        dit->blocks ? svr_dit_declare_items(dit, err)
                    : SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for %d blocks", config->layers);
    if (status != SVR_OK)
        svr_dit_destroy(dit);
    else
        *out = dit;
    return status;
}

void svr_dit_destroy(svr_dit *dit)
{
    if (dit)
        svr_arena_destroy(dit->arena);
}

void svr_dit_quantize_activations(svr_dit *dit)
{
    assert(svr_store_factor_type(dit->store) == SVR_I8);
    dit->multiplied = SVR_I8;
}

const svr_dit_config *svr_dit_get_config(const svr_dit *dit)
{
    return &dit->config;
}

void svr_dit_set_token_chunk(svr_dit *dit, int64_t tokens)
{
    assert(tokens >= 0);
    dit->token_chunk = tokens;
}

/* ---------------------------------------------------------------------------- checks */

static svr_status check_latent(const svr_dit *dit, const svr_dit_geometry *geometry,
                               const char *name, const svr_tensor *tensor, svr_error *err)
{
    const int *latent = geometry->latent;
    char text[96];

    if (tensor->rank == 4 && tensor->dims[0] == latent[0] && tensor->dims[1] == latent[1] &&
        tensor->dims[2] == latent[2] && tensor->dims[3] == dit->config.out_channels)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_SHAPE,
                    "transformer: %s is %s, but the tables are for a latent of [%d, %d, %d, %d]; "
                    "make tables for this size",
                    name, svr_tensor_describe(tensor, text, sizeof(text)), latent[0], latent[1],
                    latent[2], dit->config.out_channels);
}

static svr_status check_text(const svr_dit_io *io, svr_error *err)
{
    if (io->condition->text_len == io->geometry->text_len)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_SHAPE,
                    "transformer: a text of %d tokens, but the tables are for %d; make tables for "
                    "this text",
                    io->condition->text_len, io->geometry->text_len);
}

static svr_status check_io(const svr_dit *dit, const svr_dit_io *io, svr_error *err)
{
    SVR_TRY(check_latent(dit, io->geometry, "x_t", &io->x_t, err));
    SVR_TRY(check_latent(dit, io->geometry, "cond", &io->cond, err));
    SVR_TRY(check_latent(dit, io->geometry, "v", &io->v, err));
    return check_text(io, err);
}

static int64_t video_tokens(const svr_dit_geometry *geometry)
{
    return (int64_t) geometry->grid[0] * geometry->grid[1] * geometry->grid[2];
}

static svr_status check_stream(const char *name, const svr_tensor *stream, int64_t tokens,
                               int64_t dim, svr_error *err)
{
    char text[96];

    if (stream->rank == 2 && stream->dtype == SVR_F32 && stream->dims[0] == tokens &&
        stream->dims[1] == dim)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_SHAPE, "transformer: %s is %s, wanted f32 [%lld, %lld]", name,
                    svr_tensor_describe(stream, text, sizeof(text)), (long long) tokens,
                    (long long) dim);
}

/* ---------------------------------------------------------------------------- forward */

/* vid = vid_in(patches of noise and condition) */
static svr_status embed_video(svr_exec *exec, const svr_dit *dit, const svr_dit_io *io,
                              const svr_tensor *vid, svr_error *err)
{
    const svr_dit_config *config = &dit->config;
    int64_t features = (int64_t) config->patch * config->patch * 2 * config->out_channels;
    svr_patchify_args patchify = {.a = io->x_t, .b = io->cond, .patch = config->patch};

    SVR_TRY(svr_exec_alloc(exec, dit->storage, SVR_DIMS(vid->dims[0], features), &patchify.y, err));
    SVR_TRY(svr_op_patchify(exec, &patchify, err));
    svr_linear_args linear = {.x = patchify.y,
                              .w = svr_dit_item(dit, dit->in_weight),
                              .b = svr_dit_item(dit, dit->in_bias),
                              .y = *vid};
    SVR_TRY(svr_op_linear(exec, &linear, err));
    svr_exec_free(exec, &patchify.y);
    return svr_exec_tap(exec, "patch_in", vid, err);
}

static svr_status embed_text(svr_exec *exec, const svr_dit_io *io, const svr_tensor *txt,
                             svr_error *err)
{
    svr_copy_args args = {.src = io->condition->txt, .dst = *txt};

    SVR_TRY(svr_op_copy(exec, &args, err));
    return svr_exec_tap(exec, "txt_in", txt, err);
}

/* out = the 3B's normalised and modulated stream. */
static svr_status modulate_head(svr_exec *exec, const svr_dit *dit, const svr_dit_io *io,
                                const svr_tensor *vid, const svr_tensor *out, svr_error *err)
{
    const svr_tensor *head = &io->condition->head;
    svr_tensor shift = svr_tensor_slice(head, DIT_SHIFT, 1);
    svr_tensor scale = svr_tensor_slice(head, DIT_SCALE, 1);
    svr_rms_norm_args args = {.x = *vid,
                              .weight = svr_dit_item(dit, dit->head_norm),
                              .scale = svr_tensor_1d(scale.data, SVR_F32, head->dims[1]),
                              .shift = svr_tensor_1d(shift.data, SVR_F32, head->dims[1]),
                              .y = *out,
                              .eps = dit->config.eps};

    return svr_op_rms_norm(exec, &args, err);
}

/* The 7B's head takes the stream as it is, in the storage type. */
static svr_status copy_head(svr_exec *exec, const svr_tensor *vid, const svr_tensor *out,
                            svr_error *err)
{
    svr_copy_args args = {.src = *vid, .dst = *out};

    return svr_op_copy(exec, &args, err);
}

/* y [n, features] = vid_out(head of all n tokens of vid), in chunks of tokens. */
static svr_status project_head(svr_exec *exec, const svr_dit *dit, const svr_dit_io *io,
                               const svr_tensor *vid, const svr_tensor *y, svr_error *err)
{
    bool modulated = dit->config.kind == SVR_MODEL_DIT_3B;
    int64_t tokens = vid->dims[0];
    int64_t chunk = dit->token_chunk > 0 ? svr_min_i64(dit->token_chunk, tokens) : tokens;
    svr_tensor head;

    SVR_TRY(svr_exec_alloc(exec, dit->storage, SVR_DIMS(chunk, vid->dims[1]), &head, err));
    for (int64_t first = 0; first < tokens; first += chunk) {
        int64_t count = svr_min_i64(chunk, tokens - first);
        svr_tensor in = svr_tensor_slice(vid, first, count);
        svr_linear_args linear = {.x = svr_tensor_slice(&head, 0, count),
                                  .w = svr_dit_item(dit, dit->out_weight),
                                  .b = svr_dit_item(dit, dit->out_bias),
                                  .y = svr_tensor_slice(y, first, count)};

        SVR_TRY(modulated ? modulate_head(exec, dit, io, &in, &linear.x, err)
                          : copy_head(exec, &in, &linear.x, err));
        if (modulated && count == tokens)
            SVR_TRY(svr_exec_tap(exec, "out_mod", &linear.x, err));
        SVR_TRY(svr_op_linear(exec, &linear, err));
    }
    svr_exec_free(exec, &head);
    return SVR_OK;
}

/* v = patches of vid_out(head) */
static svr_status project_velocity(svr_exec *exec, const svr_dit *dit, const svr_dit_io *io,
                                   const svr_tensor *vid, svr_error *err)
{
    const svr_dit_config *config = &dit->config;
    int64_t features = (int64_t) config->patch * config->patch * config->out_channels;
    svr_unpatchify_args args = {.y = io->v, .patch = config->patch};

    SVR_TRY(svr_exec_alloc(exec, io->v.dtype, SVR_DIMS(vid->dims[0], features), &args.x, err));
    SVR_TRY(project_head(exec, dit, io, vid, &args.x, err));
    SVR_TRY(svr_op_unpatchify(exec, &args, err));
    svr_exec_free(exec, &args.x);
    return SVR_OK;
}

static svr_status run_blocks(svr_exec *exec, const svr_dit *dit, const svr_dit_io *io,
                             const svr_tensor streams[2], svr_error *err)
{
    int last = dit->config.layers - 1;

    for (int layer = 0; layer <= last; layer++) {
        /* only a tap reads the text behind the last block */
        dit_text_use text_use = layer < last || exec->tap ? DIT_TEXT_USED : DIT_TEXT_UNUSED;
        dit_block_call call = {dit, layer, io, streams, text_use, .in_order = true};
        SVR_TRY(svr_dit_block_run(exec, &call, err));
    }
    return SVR_OK;
}

static svr_status embed(svr_exec *exec, const svr_dit *dit, const svr_dit_io *io,
                        const svr_tensor streams[2], svr_error *err)
{
    SVR_TRY(svr_store_acquire(dit->store, exec, dit->config.layers, err));
    svr_status status = embed_video(exec, dit, io, &streams[DIT_VIDEO], err);
    svr_store_release(dit->store, dit->config.layers);
    if (status != SVR_OK)
        return status;
    return embed_text(exec, io, &streams[DIT_TEXT], err);
}

static svr_status finish(svr_exec *exec, const svr_dit *dit, const svr_dit_io *io,
                         const svr_tensor *vid, svr_error *err)
{
    SVR_TRY(svr_store_acquire(dit->store, exec, dit->config.layers, err));
    svr_status status = project_velocity(exec, dit, io, vid, err);
    svr_store_release(dit->store, dit->config.layers);
    return status;
}

svr_status svr_dit_forward(svr_exec *exec, svr_dit *dit, const svr_dit_io *io, svr_error *err)
{
    int64_t dim = dit->config.dim;
    svr_tensor streams[2];

    SVR_TRY(check_io(dit, io, err));
    SVR_TRY(svr_exec_poll(exec, err));
    if (!svr_store_in_pass(dit->store))
        SVR_TRY(svr_store_begin(dit->store, exec, 0, dit->config.layers, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(video_tokens(io->geometry), dim),
                           &streams[DIT_VIDEO], err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(io->geometry->text_len, dim), &streams[DIT_TEXT],
                           err));
    SVR_TRY(embed(exec, dit, io, streams, err));
    SVR_TRY(run_blocks(exec, dit, io, streams, err));
    svr_store_end(dit->store, exec);
    svr_exec_free(exec, &streams[DIT_TEXT]);
    SVR_TRY(finish(exec, dit, io, &streams[DIT_VIDEO], err));
    svr_exec_free(exec, &streams[DIT_VIDEO]);
    return SVR_OK;
}

svr_status svr_dit_block(svr_exec *exec, svr_dit *dit, int layer, const svr_dit_io *io,
                         const svr_tensor streams[2], svr_error *err)
{
    const svr_tensor *vid = &streams[DIT_VIDEO], *txt = &streams[DIT_TEXT];
    dit_block_call call = {dit, layer, io, streams, DIT_TEXT_USED, .in_order = false};

    assert(layer >= 0 && layer < dit->config.layers);
    SVR_TRY(check_text(io, err));
    SVR_TRY(check_stream("vid", vid, video_tokens(io->geometry), dit->config.dim, err));
    SVR_TRY(check_stream("txt", txt, io->geometry->text_len, dit->config.dim, err));
    return svr_dit_block_run(exec, &call, err);
}
