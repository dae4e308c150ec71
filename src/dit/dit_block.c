#include "dit/dit_run.h"

#include "base/checked.h"

#include <stdio.h>

svr_status svr_dit_block_tap(svr_exec *exec, int layer, const char *what, const svr_tensor *value,
                             svr_error *err)
{
    char name[DIT_NAME_SIZE];

    if (!exec->tap)
        return SVR_OK;
    snprintf(name, sizeof(name), "block%d.%s", layer, what);
    return svr_exec_tap(exec, name, value, err);
}

/* ---------------------------------------------------------------------------- MLP */

/* hidden = silu(gate x) * (up x), or gelu(up x + b) */
static svr_status expand(const dit_run *run, const dit_branch *branch, const dit_factor *x,
                         const svr_tensor *hidden, svr_error *err)
{
    if (branch->gate_weight != DIT_NO_ITEM) {
        svr_swiglu_args args = {.x = x->rows,
                                .w_gate = svr_dit_run_item(run, branch->gate_weight),
                                .w_up = svr_dit_run_item(run, branch->in_weight),
                                .y = *hidden,
                                .x_scale = x->scale,
                                .gate_scale = svr_dit_run_scale(run, branch->gate_weight),
                                .up_scale = svr_dit_run_scale(run, branch->in_weight)};
        return svr_op_swiglu(run->exec, &args, err);
    }
    svr_linear_args args = svr_dit_product(run, x, branch->in_weight);
    args.b = svr_dit_run_item(run, branch->in_bias);
    args.y = *hidden;
    args.activation = SVR_ACT_GELU_TANH;
    return svr_op_linear(run->exec, &args, err);
}

/* Tokens [first, first + count) of a stream: residual += gate * mlp(modulated norm). */
static svr_status mlp_chunk(const dit_run *run, dit_stream stream, int64_t first, int64_t count,
                            svr_error *err)
{
    const svr_dit_config *config = &run->dit->config;
    const dit_branch *branch = &run->block->branch[stream];
    dit_tokens all = svr_dit_all_tokens(run, stream);
    dit_tokens tokens = svr_dit_some_tokens(&all, first, count);
    svr_tensor hidden;
    dit_factor normed, in;

    SVR_TRY(svr_exec_poll(run->exec, err));
    SVR_TRY(svr_exec_alloc(run->exec, run->dit->storage, SVR_DIMS(count, config->mlp_hidden),
                           &hidden, err));
    SVR_TRY(svr_dit_take_factor(run, count, config->dim, &normed, err));
    SVR_TRY(svr_dit_norm(run, DIT_MLP, &tokens, &normed, err));
    SVR_TRY(expand(run, branch, &normed, &hidden, err));
    svr_dit_free_factor(run, &normed);
    SVR_TRY(svr_dit_make_factor(run, &hidden, &in, err));
    svr_linear_args out = svr_dit_product(run, &in, branch->mlp_weight);
    out.b = svr_dit_run_item(run, branch->mlp_bias);
    out.gate = svr_dit_run_modulation(run, stream, DIT_MLP, DIT_GATE);
    out.residual = out.y = tokens.x;
    SVR_TRY(svr_op_linear(run->exec, &out, err));
    svr_dit_free_factor(run, &in);
    return SVR_OK;
}

static svr_status mlp(const dit_run *run, dit_stream stream, svr_error *err)
{
    int64_t tokens = run->streams[stream].dims[0], chunk = svr_dit_run_chunk(run, tokens);

    for (int64_t first = 0; first < tokens; first += chunk)
        SVR_TRY(mlp_chunk(run, stream, first, svr_min_i64(chunk, tokens - first), err));
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- block */

static svr_status run_loaded(const dit_run *run, svr_error *err)
{
    SVR_TRY(svr_dit_attention(run, err));
    SVR_TRY(mlp(run, DIT_VIDEO, err));
    SVR_TRY(svr_dit_block_tap(run->exec, run->layer, "vid", &run->streams[DIT_VIDEO], err));
    if (!run->text_result)
        return SVR_OK;
    SVR_TRY(mlp(run, DIT_TEXT, err));
    return svr_dit_block_tap(run->exec, run->layer, "txt", &run->streams[DIT_TEXT], err);
}

/* Whether two blocks take the same memory: shapes are the network's, but for what a block lacks. */
static bool are_alike(const svr_dit *dit, int a, int b)
{
    const svr_dit_config *config = &dit->config;

    return svr_store_group_bytes(dit->store, a) == svr_store_group_bytes(dit->store, b) &&
           svr_dit_is_split(config, a) == svr_dit_is_split(config, b) &&
           svr_dit_is_text_tail(config, a) == svr_dit_is_text_tail(config, b) &&
           dit->blocks[a].has_text_result == dit->blocks[b].has_text_result;
}

/* Whether a dry run has counted such a block before, which is looked for in the last place with
 * these windows.  A block gives back what it takes, and its weights come to slots that are there,
 * so the same block takes the same again. */
static bool was_counted(const svr_exec *exec, const dit_block_call *call)
{
    return svr_exec_counts_once(exec) && call->in_order && call->layer >= 2 &&
           call->text_use == DIT_TEXT_USED && are_alike(call->dit, call->layer, call->layer - 2);
}

svr_status svr_dit_block_run(svr_exec *exec, const dit_block_call *call, svr_error *err)
{
    const dit_block *block = &call->dit->blocks[call->layer];
    dit_run run = {.exec = exec,
                   .dit = call->dit,
                   .io = call->io,
                   .layer = call->layer,
                   .block = block,
                   .streams = call->streams,
                   .text_result = call->text_use == DIT_TEXT_USED && block->has_text_result};

    SVR_TRY(svr_exec_poll(exec, err));
    SVR_TRY(svr_store_acquire(call->dit->store, exec, call->layer, err));
    svr_status status = was_counted(exec, call) ? SVR_OK : run_loaded(&run, err);
    svr_store_release(call->dit->store, call->layer);
    return status;
}
