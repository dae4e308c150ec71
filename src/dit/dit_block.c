#include "dit/dit_internal.h"

#include "backend/ops.h"
#include "base/checked.h"

#include <stdio.h>

/* A block at work. */
typedef struct block_run {
    svr_exec *exec;
    const svr_dit *dit;
    const svr_dit_io *io;
    int layer;
    const dit_block *block;
    const svr_tensor *streams; /* residuals: video [Nv,D], text [L,D] F32 */
    bool text_result;          /* the text goes on behind the block */
} block_run;

svr_status svr_dit_block_tap(svr_exec *exec, int layer, const char *what, const svr_tensor *value,
                             svr_error *err)
{
    char name[DIT_NAME_SIZE];

    if (!exec->tap)
        return SVR_OK;
    snprintf(name, sizeof(name), "block%d.%s", layer, what);
    return svr_exec_tap(exec, name, value, err);
}

static svr_tensor item(const block_run *run, int id)
{
    return svr_dit_item(run->dit, id);
}

static svr_tensor scale(const block_run *run, int id)
{
    return svr_dit_scale(run->dit, id);
}

/* What a product takes: rows in the storage type, or quantised with their scales. */
typedef struct factor {
    svr_tensor rows, scale; /* scale: quantised only */
} factor;

static svr_status take_factor(const block_run *run, int64_t tokens, int64_t width, factor *out,
                              svr_error *err)
{
    *out = (factor){{0}, {0}};
    if (run->dit->quantized)
        SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(tokens), &out->scale, err));
    return svr_exec_alloc(run->exec, run->dit->quantized ? SVR_F8_E4M3 : run->dit->storage,
                          SVR_DIMS(tokens, width), &out->rows, err);
}

static void free_factor(const block_run *run, factor *f)
{
    svr_exec_free(run->exec, &f->rows);
    svr_exec_free(run->exec, &f->scale);
}

/* The first `count` rows. */
static factor first_rows(const factor *f, int64_t count)
{
    factor part = {svr_tensor_slice(&f->rows, 0, count), f->scale};

    if (svr_tensor_present(&f->scale))
        part.scale = svr_tensor_slice(&f->scale, 0, count);
    return part;
}

/* x [n, width] as a factor, which replaces it: x is freed where it is not needed any more. */
static svr_status make_factor(const block_run *run, svr_tensor *x, factor *out, svr_error *err)
{
    if (!run->dit->quantized) {
        *out = (factor){*x, {0}};
        *x = (svr_tensor){0};
        return SVR_OK;
    }
    SVR_TRY(take_factor(run, x->dims[0], x->dims[1], out, err));
    svr_quantize_args args = {.x = *x, .y = out->rows, .scale = out->scale};
    SVR_TRY(svr_op_quantize(run->exec, &args, err));
    svr_exec_free(run->exec, x);
    return SVR_OK;
}

/* x w^T for the matrix `weight`. */
static svr_linear_args product(const block_run *run, const factor *x, int weight)
{
    return (svr_linear_args){
        .x = x->rows, .w = item(run, weight), .x_scale = x->scale, .w_scale = scale(run, weight)};
}

static svr_tensor modulation(const block_run *run, dit_stream stream, dit_part part, int kind)
{
    int set = svr_dit_modulation_set(&run->dit->config, run->layer, stream);

    return svr_dit_modulation(run->io->condition, set, part, kind);
}

/* Tokens that are worked on at a time. */
static int64_t chunk_tokens(const block_run *run, int64_t tokens)
{
    int64_t chunk = run->dit->token_chunk;

    return chunk > 0 ? svr_min_i64(chunk, tokens) : tokens;
}

/* y = rms(x), modulated unless the text ends in this block. */
static svr_status norm(const block_run *run, dit_stream stream, dit_part part, const svr_tensor *x,
                       const factor *y, svr_error *err)
{
    svr_rms_norm_args args = {
        .x = *x, .y = y->rows, .y_scale = y->scale, .eps = run->dit->config.eps};

    if (stream == DIT_VIDEO || !svr_dit_is_text_tail(&run->dit->config, run->layer)) {
        args.scale = modulation(run, stream, part, DIT_SCALE);
        args.shift = modulation(run, stream, part, DIT_SHIFT);
    }
    return svr_op_rms_norm(run->exec, &args, err);
}

/* ---------------------------------------------------------------------------- attention */

/* qkv [n, 3E] = proj_qkv(modulated norm of the stream), in chunks of tokens. */
static svr_status project_qkv(const block_run *run, dit_stream stream, const svr_tensor *qkv,
                              svr_error *err)
{
    const svr_tensor *x = &run->streams[stream];
    int64_t tokens = x->dims[0], chunk = chunk_tokens(run, tokens);
    factor normed;
    svr_tensor flat = svr_tensor_as_2d(qkv, tokens, qkv->dims[1] * qkv->dims[2] * qkv->dims[3]);

    SVR_TRY(take_factor(run, chunk, x->dims[1], &normed, err));
    for (int64_t first = 0; first < tokens; first += chunk) {
        int64_t count = svr_min_i64(chunk, tokens - first);
        svr_tensor in = svr_tensor_slice(x, first, count);
        factor part = first_rows(&normed, count);
        svr_linear_args linear = product(run, &part, run->block->branch[stream].qkv);

        linear.y = svr_tensor_slice(&flat, first, count);
        SVR_TRY(svr_exec_poll(run->exec, err));
        SVR_TRY(norm(run, stream, DIT_ATTENTION, &in, &part, err));
        SVR_TRY(svr_op_linear(run->exec, &linear, err));
    }
    free_factor(run, &normed);
    return SVR_OK;
}

/* New qkv [n, 3, heads, hd], normalised and rotated. */
static svr_status make_qkv(const block_run *run, dit_stream stream, svr_tensor *qkv, svr_error *err)
{
    static const char *const names[] = {"qkv.vid", "qkv.txt"};
    const svr_dit_config *config = &run->dit->config;
    const dit_branch *branch = &run->block->branch[stream];
    const dit_cut *cut = &run->io->geometry->cut[run->layer % 2];
    int64_t tokens = run->streams[stream].dims[0];
    /* a text that ends here may have no weight for its queries, which nobody reads */
    int norm_q = branch->norm_q == DIT_NO_ITEM ? branch->norm_k : branch->norm_q;

    SVR_TRY(svr_exec_alloc(run->exec, run->dit->storage,
                           SVR_DIMS(tokens, 3, config->heads, config->head_dim), qkv, err));
    SVR_TRY(project_qkv(run, stream, qkv, err));
    svr_qk_norm_rope_args args = {.qkv = *qkv,
                                  .norm_q = item(run, norm_q),
                                  .norm_k = item(run, branch->norm_k),
                                  .rows = cut->rows[stream],
                                  .eps = config->eps};
    if (svr_tensor_present(&args.rows)) {
        args.cosines = cut->cosines;
        args.sines = cut->sines;
    }
    SVR_TRY(svr_op_qk_norm_rope(run->exec, &args, err));
    return svr_dit_block_tap(run->exec, run->layer, names[stream], qkv, err);
}

/* Attention of all windows: from qkv of both streams to out [n, E]. */
static svr_status attend(const block_run *run, const svr_tensor qkv[2], const svr_tensor out[2],
                         svr_error *err)
{
    const dit_cut *cut = &run->io->geometry->cut[run->layer % 2];
    svr_window_attention_args args = {.vid = qkv[DIT_VIDEO],
                                      .txt = qkv[DIT_TEXT],
                                      .order = cut->order,
                                      .offsets = cut->offsets,
                                      .out_vid = out[DIT_VIDEO],
                                      .out_txt = out[DIT_TEXT],
                                      .host_offsets = cut->host_offsets,
                                      .window_count = cut->window_count};

    SVR_TRY(svr_op_window_attention(run->exec, &args, err));
    SVR_TRY(svr_dit_block_tap(run->exec, run->layer, "attn.vid", &out[DIT_VIDEO], err));
    if (!run->text_result)
        return SVR_OK;
    return svr_dit_block_tap(run->exec, run->layer, "attn.txt", &out[DIT_TEXT], err);
}

static svr_linear_args out_projection(const block_run *run, dit_stream stream, const factor *x)
{
    svr_linear_args args = product(run, x, run->block->branch[stream].out_weight);

    args.b = item(run, run->block->branch[stream].out_bias);
    return args;
}

/* The result of proj_out alone exists for the tap only. */
static svr_status tap_projected(const block_run *run, dit_stream stream, const factor *x,
                                svr_error *err)
{
    static const char *const names[] = {"attn_out.vid", "attn_out.txt"};
    const svr_tensor *residual = &run->streams[stream];
    svr_linear_args args = out_projection(run, stream, x);

    if (!run->exec->tap)
        return SVR_OK;
    SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, residual->rank, residual->dims, &args.y, err));
    SVR_TRY(svr_op_linear(run->exec, &args, err));
    SVR_TRY(svr_dit_block_tap(run->exec, run->layer, names[stream], &args.y, err));
    svr_exec_free(run->exec, &args.y);
    return SVR_OK;
}

/* residual += gate * proj_out(x); frees x. */
static svr_status project_out(const block_run *run, dit_stream stream, svr_tensor *x,
                              svr_error *err)
{
    svr_linear_args args;
    factor in;

    SVR_TRY(make_factor(run, x, &in, err));
    SVR_TRY(tap_projected(run, stream, &in, err));
    args = out_projection(run, stream, &in);
    args.gate = modulation(run, stream, DIT_ATTENTION, DIT_GATE);
    args.residual = run->streams[stream];
    args.y = run->streams[stream];
    SVR_TRY(svr_op_linear(run->exec, &args, err));
    free_factor(run, &in);
    return SVR_OK;
}

static svr_status attention(const block_run *run, svr_error *err)
{
    const svr_dit_config *config = &run->dit->config;
    int64_t width = (int64_t) config->heads * config->head_dim;
    svr_tensor qkv[2], out[2] = {{0}};
    int results = run->text_result ? 2 : 1;

    for (int stream = 0; stream < 2; stream++)
        SVR_TRY(make_qkv(run, (dit_stream) stream, &qkv[stream], err));
    for (int stream = 0; stream < results; stream++)
        SVR_TRY(svr_exec_alloc(run->exec, run->dit->storage,
                               SVR_DIMS(run->streams[stream].dims[0], width), &out[stream], err));
    SVR_TRY(attend(run, qkv, out, err));
    for (int stream = 0; stream < 2; stream++)
        svr_exec_free(run->exec, &qkv[stream]);
    for (int stream = 0; stream < results; stream++)
        SVR_TRY(project_out(run, (dit_stream) stream, &out[stream], err));
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- MLP */

/* hidden = silu(gate x) * (up x), or gelu(up x + b) */
static svr_status expand(const block_run *run, const dit_branch *branch, const factor *x,
                         const svr_tensor *hidden, svr_error *err)
{
    if (branch->gate_weight != DIT_NO_ITEM) {
        svr_swiglu_args args = {.x = x->rows,
                                .w_gate = item(run, branch->gate_weight),
                                .w_up = item(run, branch->in_weight),
                                .y = *hidden,
                                .x_scale = x->scale,
                                .gate_scale = scale(run, branch->gate_weight),
                                .up_scale = scale(run, branch->in_weight)};
        return svr_op_swiglu(run->exec, &args, err);
    }
    svr_linear_args args = product(run, x, branch->in_weight);
    args.b = item(run, branch->in_bias);
    args.y = *hidden;
    args.activation = SVR_ACT_GELU_TANH;
    return svr_op_linear(run->exec, &args, err);
}

/* Tokens [first, first + count) of a stream: residual += gate * mlp(modulated norm). */
static svr_status mlp_chunk(const block_run *run, dit_stream stream, int64_t first, int64_t count,
                            svr_error *err)
{
    const svr_dit_config *config = &run->dit->config;
    const dit_branch *branch = &run->block->branch[stream];
    svr_tensor residual = svr_tensor_slice(&run->streams[stream], first, count);
    svr_tensor hidden;
    factor normed, in;

    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(svr_exec_alloc(run->exec, run->dit->storage, SVR_DIMS(count, config->mlp_hidden),
                           &hidden, err));
    SVR_TRY(take_factor(run, count, config->dim, &normed, err));
    SVR_TRY(norm(run, stream, DIT_MLP, &residual, &normed, err));
    SVR_TRY(expand(run, branch, &normed, &hidden, err));
    free_factor(run, &normed);
    SVR_TRY(make_factor(run, &hidden, &in, err));
    svr_linear_args out = product(run, &in, branch->mlp_weight);
    out.b = item(run, branch->mlp_bias);
    out.gate = modulation(run, stream, DIT_MLP, DIT_GATE);
    out.residual = out.y = residual;
    SVR_TRY(svr_op_linear(run->exec, &out, err));
    free_factor(run, &in);
    return SVR_OK;
}

static svr_status mlp(const block_run *run, dit_stream stream, svr_error *err)
{
    int64_t tokens = run->streams[stream].dims[0], chunk = chunk_tokens(run, tokens);

    for (int64_t first = 0; first < tokens; first += chunk)
        SVR_TRY(mlp_chunk(run, stream, first, svr_min_i64(chunk, tokens - first), err));
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- block */

static svr_status run_loaded(const block_run *run, svr_error *err)
{
    SVR_TRY(attention(run, err));
    SVR_TRY(mlp(run, DIT_VIDEO, err));
    SVR_TRY(svr_dit_block_tap(run->exec, run->layer, "vid", &run->streams[DIT_VIDEO], err));
    if (!run->text_result)
        return SVR_OK;
    SVR_TRY(mlp(run, DIT_TEXT, err));
    return svr_dit_block_tap(run->exec, run->layer, "txt", &run->streams[DIT_TEXT], err);
}

svr_status svr_dit_block_run(svr_exec *exec, const dit_block_call *call, svr_error *err)
{
    const dit_block *block = &call->dit->blocks[call->layer];
    block_run run = {.exec = exec,
                     .dit = call->dit,
                     .io = call->io,
                     .layer = call->layer,
                     .block = block,
                     .streams = call->streams,
                     .text_result = call->text_use == DIT_TEXT_USED && block->has_text_result};

    SVR_TRY(svr_exec_poll(exec, err));
    SVR_TRY(svr_store_acquire(call->dit->store, exec, call->layer, err));
    svr_status status = run_loaded(&run, err);
    svr_store_release(call->dit->store, call->layer);
    return status;
}
