#include "dit/dit_run.h"

#include "base/checked.h"

svr_tensor svr_dit_run_item(const dit_run *run, int id)
{
    return svr_dit_item(run->dit, id);
}

svr_tensor svr_dit_run_scale(const dit_run *run, int id)
{
    return svr_dit_scale(run->dit, id);
}

svr_tensor svr_dit_run_modulation(const dit_run *run, dit_stream stream, dit_part part, int kind)
{
    int set = svr_dit_modulation_set(&run->dit->config, run->layer, stream);

    return svr_dit_modulation(run->io->condition, set, part, kind);
}

int64_t svr_dit_run_chunk(const dit_run *run, int64_t tokens)
{
    int64_t chunk = run->dit->token_chunk;

    return chunk > 0 ? svr_min_i64(chunk, tokens) : tokens;
}

/* ---------------------------------------------------------------------------- factors */

static bool is_quantized(const dit_run *run)
{
    return run->dit->multiplied != run->dit->storage;
}

svr_status svr_dit_take_factor(const dit_run *run, int64_t tokens, int64_t width, dit_factor *out,
                               svr_error *err)
{
    *out = (dit_factor){{0}, {0}};
    if (is_quantized(run))
        SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(tokens), &out->scale, err));
    return svr_exec_alloc(run->exec, run->dit->multiplied, SVR_DIMS(tokens, width), &out->rows,
                          err);
}

void svr_dit_free_factor(const dit_run *run, dit_factor *factor)
{
    svr_exec_free(run->exec, &factor->rows);
    svr_exec_free(run->exec, &factor->scale);
}

dit_factor svr_dit_factor_rows(const dit_factor *factor, int64_t first, int64_t count)
{
    dit_factor part = {svr_tensor_slice(&factor->rows, first, count), factor->scale};

    if (svr_tensor_present(&factor->scale))
        part.scale = svr_tensor_slice(&factor->scale, first, count);
    return part;
}

svr_status svr_dit_make_factor(const dit_run *run, svr_tensor *x, dit_factor *out, svr_error *err)
{
    if (!is_quantized(run)) {
        *out = (dit_factor){*x, {0}};
        *x = (svr_tensor){0};
        return SVR_OK;
    }
    SVR_TRY(svr_dit_take_factor(run, x->dims[0], x->dims[1], out, err));
    svr_quantize_args args = {.x = *x, .y = out->rows, .scale = out->scale};
    SVR_TRY(svr_op_quantize(run->exec, &args, err));
    svr_exec_free(run->exec, x);
    return SVR_OK;
}

svr_linear_args svr_dit_product(const dit_run *run, const dit_factor *x, int weight)
{
    return (svr_linear_args){.x = x->rows,
                             .w = svr_dit_run_item(run, weight),
                             .x_scale = x->scale,
                             .w_scale = svr_dit_run_scale(run, weight)};
}

/* ---------------------------------------------------------------------------- tokens */

dit_tokens svr_dit_all_tokens(const dit_run *run, dit_stream stream)
{
    return (dit_tokens){.stream = stream, .x = run->streams[stream]};
}

int64_t svr_dit_token_count(const dit_tokens *tokens)
{
    return svr_tensor_present(&tokens->rows) ? tokens->rows.dims[0] : tokens->x.dims[0];
}

dit_tokens svr_dit_some_tokens(const dit_tokens *tokens, int64_t first, int64_t count)
{
    dit_tokens part = *tokens;

    if (svr_tensor_present(&tokens->rows))
        part.rows = svr_tensor_slice(&tokens->rows, first, count);
    else
        part.x = svr_tensor_slice(&tokens->x, first, count);
    return part;
}

svr_status svr_dit_norm(const dit_run *run, dit_part part, const dit_tokens *tokens,
                        const dit_factor *y, svr_error *err)
{
    dit_stream stream = tokens->stream;
    svr_rms_norm_args args = {.x = tokens->x,
                              .rows = tokens->rows,
                              .y = y->rows,
                              .y_scale = y->scale,
                              .eps = run->dit->config.eps};

    if (stream == DIT_VIDEO || !svr_dit_is_text_tail(&run->dit->config, run->layer)) {
        args.scale = svr_dit_run_modulation(run, stream, part, DIT_SCALE);
        args.shift = svr_dit_run_modulation(run, stream, part, DIT_SHIFT);
    }
    return svr_op_rms_norm(run->exec, &args, err);
}
