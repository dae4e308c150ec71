/* The attention half of a block.
 *
 * Whole, or, where activations are chunked, by groups of windows: queries, keys, values and results
 * exist for one group at a time, whose tokens are picked out of the stream and put back by number.
 * A token lies in one window, so no group reads what another has written. */
#include "dit/dit_run.h"

#include "base/checked.h"

static const dit_cut *cut_of(const dit_run *run)
{
    return &run->io->geometry->cut[run->layer % 2];
}

static int64_t attention_width(const dit_run *run)
{
    return (int64_t) run->dit->config.heads * run->dit->config.head_dim;
}

/* ---------------------------------------------------------------------------- qkv */

/* qkv [n, 3E] = proj_qkv(modulated norm of the tokens), in chunks of tokens. */
static svr_status project_qkv(const dit_run *run, const dit_tokens *tokens, const svr_tensor *qkv,
                              svr_error *err)
{
    int64_t n = qkv->dims[0], chunk = svr_dit_run_chunk(run, n);
    dit_factor normed;
    svr_tensor flat = svr_tensor_as_2d(qkv, n, qkv->dims[1] * qkv->dims[2] * qkv->dims[3]);

    SVR_TRY(svr_dit_take_factor(run, chunk, tokens->x.dims[1], &normed, err));
    for (int64_t first = 0; first < n; first += chunk) {
        int64_t count = svr_min_i64(chunk, n - first);
        dit_tokens in = svr_dit_some_tokens(tokens, first, count);
        dit_factor part = svr_dit_factor_rows(&normed, 0, count);
        svr_linear_args linear =
            svr_dit_product(run, &part, run->block->branch[tokens->stream].qkv);

        linear.y = svr_tensor_slice(&flat, first, count);
        SVR_TRY(svr_exec_poll(run->exec, err));
        SVR_TRY(svr_dit_norm(run, DIT_ATTENTION, &in, &part, err));
        SVR_TRY(svr_op_linear(run->exec, &linear, err));
    }
    svr_dit_free_factor(run, &normed);
    return SVR_OK;
}

/* Rows of the rotary tables for these tokens: a new tensor where they are picked out. */
static svr_status take_rotations(const dit_run *run, const dit_tokens *tokens, svr_tensor *out,
                                 svr_error *err)
{
    *out = cut_of(run)->rows[tokens->stream];
    if (!svr_tensor_present(&tokens->rows))
        return SVR_OK;
    svr_copy_rows_args args = {.x = *out, .from = tokens->rows};
    SVR_TRY(svr_exec_alloc(run->exec, SVR_I32, SVR_DIMS(tokens->rows.dims[0], out->dims[1]),
                           &args.y, err));
    *out = args.y;
    return svr_op_copy_rows(run->exec, &args, err);
}

/* New qkv [n, 3, heads, hd], normalised and rotated. */
static svr_status make_qkv(const dit_run *run, const dit_tokens *tokens, svr_tensor *qkv,
                           svr_error *err)
{
    const svr_dit_config *config = &run->dit->config;
    const dit_branch *branch = &run->block->branch[tokens->stream];
    /* a text that ends here may have no weight for its queries, which nobody reads */
    int norm_q = branch->norm_q == DIT_NO_ITEM ? branch->norm_k : branch->norm_q;

    SVR_TRY(svr_exec_alloc(
        run->exec, run->dit->storage,
        SVR_DIMS(svr_dit_token_count(tokens), 3, config->heads, config->head_dim), qkv, err));
    SVR_TRY(project_qkv(run, tokens, qkv, err));
    svr_qk_norm_rope_args args = {.qkv = *qkv,
                                  .norm_q = svr_dit_run_item(run, norm_q),
                                  .norm_k = svr_dit_run_item(run, branch->norm_k),
                                  .eps = config->eps};
    SVR_TRY(take_rotations(run, tokens, &args.rows, err));
    if (svr_tensor_present(&args.rows)) {
        args.cosines = cut_of(run)->cosines;
        args.sines = cut_of(run)->sines;
    }
    SVR_TRY(svr_op_qk_norm_rope(run->exec, &args, err));
    if (svr_tensor_present(&tokens->rows))
        svr_exec_free(run->exec, &args.rows);
    return SVR_OK;
}

/* The same for a whole stream, shown to the tap. */
static svr_status make_whole_qkv(const dit_run *run, dit_stream stream, svr_tensor *qkv,
                                 svr_error *err)
{
    static const char *const names[] = {"qkv.vid", "qkv.txt"};
    dit_tokens tokens = svr_dit_all_tokens(run, stream);

    SVR_TRY(make_qkv(run, &tokens, qkv, err));
    return svr_dit_block_tap(run->exec, run->layer, names[stream], qkv, err);
}

/* ---------------------------------------------------------------------------- the way out */

static svr_linear_args out_projection(const dit_run *run, dit_stream stream, const dit_factor *x)
{
    svr_linear_args args = svr_dit_product(run, x, run->block->branch[stream].out_weight);

    args.b = svr_dit_run_item(run, run->block->branch[stream].out_bias);
    return args;
}

/* residual = residual + gate * proj_out(x) */
static svr_status add_projected(const dit_run *run, dit_stream stream, const dit_factor *x,
                                const svr_tensor *residual, svr_error *err)
{
    svr_linear_args args = out_projection(run, stream, x);

    args.gate = svr_dit_run_modulation(run, stream, DIT_ATTENTION, DIT_GATE);
    args.residual = args.y = *residual;
    return svr_op_linear(run->exec, &args, err);
}

/* The result of proj_out alone exists for the tap only. */
static svr_status tap_projected(const dit_run *run, dit_stream stream, const dit_factor *x,
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

/* Adds what attention x [n, E] gives to a whole stream; frees x. */
static svr_status project_out(const dit_run *run, dit_stream stream, svr_tensor *x, svr_error *err)
{
    static const char *const names[] = {"attn.vid", "attn.txt"};
    dit_factor in;

    SVR_TRY(svr_dit_block_tap(run->exec, run->layer, names[stream], x, err));
    SVR_TRY(svr_dit_make_factor(run, x, &in, err));
    SVR_TRY(tap_projected(run, stream, &in, err));
    SVR_TRY(add_projected(run, stream, &in, &run->streams[stream], err));
    svr_dit_free_factor(run, &in);
    return SVR_OK;
}

/* The same for video tokens by number, in chunks that are picked out and put back. */
static svr_status project_out_rows(const dit_run *run, const dit_tokens *tokens, svr_tensor *x,
                                   svr_error *err)
{
    int64_t n = x->dims[0], chunk = svr_dit_run_chunk(run, n);
    svr_tensor picked;
    dit_factor in;

    SVR_TRY(svr_dit_make_factor(run, x, &in, err));
    SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(chunk, tokens->x.dims[1]), &picked, err));
    for (int64_t first = 0; first < n; first += chunk) {
        int64_t count = svr_min_i64(chunk, n - first);
        svr_tensor rows = svr_tensor_slice(&tokens->rows, first, count);
        svr_tensor residual = svr_tensor_slice(&picked, 0, count);
        dit_factor part = svr_dit_factor_rows(&in, first, count);
        svr_copy_rows_args pick = {.x = tokens->x, .y = residual, .from = rows};
        svr_copy_rows_args put = {.x = residual, .y = tokens->x, .to = rows};

        SVR_TRY(svr_op_copy_rows(run->exec, &pick, err));
        SVR_TRY(add_projected(run, tokens->stream, &part, &residual, err));
        SVR_TRY(svr_op_copy_rows(run->exec, &put, err));
    }
    svr_exec_free(run->exec, &picked);
    svr_dit_free_factor(run, &in);
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- whole */

static svr_status attend_whole(const dit_run *run, svr_error *err)
{
    const dit_cut *cut = cut_of(run);
    svr_window_attention_args args = {.order = cut->order,
                                      .offsets = cut->offsets,
                                      .host_offsets = cut->host_offsets,
                                      .window_count = cut->window_count};
    svr_tensor *qkv[2] = {&args.vid, &args.txt}, *out[2] = {&args.out_vid, &args.out_txt};
    int results = run->text_result ? 2 : 1;

    for (int stream = 0; stream < 2; stream++)
        SVR_TRY(make_whole_qkv(run, (dit_stream) stream, qkv[stream], err));
    for (int stream = 0; stream < results; stream++)
        SVR_TRY(svr_exec_alloc(run->exec, run->dit->storage,
                               SVR_DIMS(run->streams[stream].dims[0], attention_width(run)),
                               out[stream], err));
    SVR_TRY(svr_op_window_attention(run->exec, &args, err));
    for (int stream = 0; stream < 2; stream++)
        svr_exec_free(run->exec, qkv[stream]);
    for (int stream = 0; stream < results; stream++)
        SVR_TRY(project_out(run, (dit_stream) stream, out[stream], err));
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- groups */

/* Windows [first, first + count) of a cut. */
typedef struct group {
    int first, count;
    dit_tokens tokens;
} group;

/* The group that begins with window `first`: as many as fit a chunk, and at least one. */
static group next_group(const dit_run *run, int first)
{
    const dit_cut *cut = cut_of(run);
    const int32_t *offsets = cut->host_offsets + first;
    int64_t chunk = run->dit->token_chunk;
    group g = {first, 1, svr_dit_all_tokens(run, DIT_VIDEO)};

    while (first + g.count < cut->window_count && offsets[g.count + 1] - offsets[0] <= chunk)
        g.count++;
    g.tokens.rows = svr_tensor_slice(&cut->order, offsets[0], offsets[g.count] - offsets[0]);
    return g;
}

/* What the text has in the groups: keys and values for all of them, and its results. */
typedef struct text_part {
    svr_tensor qkv; /* [L, 3, heads, hd] */
    svr_tensor sum; /* [L, E] F32; these two only where the text goes on */
    svr_tensor out; /* [L, E] */
} text_part;

static svr_status open_text(const dit_run *run, text_part *text, svr_error *err)
{
    int64_t tokens = run->streams[DIT_TEXT].dims[0], width = attention_width(run);

    *text = (text_part){{0}, {0}, {0}};
    SVR_TRY(make_whole_qkv(run, DIT_TEXT, &text->qkv, err));
    if (!run->text_result)
        return SVR_OK;
    SVR_TRY(svr_exec_alloc(run->exec, SVR_F32, SVR_DIMS(tokens, width), &text->sum, err));
    return svr_exec_alloc(run->exec, run->dit->storage, SVR_DIMS(tokens, width), &text->out, err);
}

static svr_status close_text(const dit_run *run, text_part *text, svr_error *err)
{
    svr_exec_free(run->exec, &text->qkv);
    svr_exec_free(run->exec, &text->sum);
    return run->text_result ? project_out(run, DIT_TEXT, &text->out, err) : SVR_OK;
}

static svr_status attend_group(const dit_run *run, const group *g, const text_part *text,
                               svr_error *err)
{
    const dit_cut *cut = cut_of(run);
    bool last = g->first + g->count == cut->window_count;
    svr_window_attention_args args = {.txt = text->qkv,
                                      .offsets =
                                          svr_tensor_slice(&cut->offsets, g->first, g->count + 1),
                                      .text_sum = text->sum,
                                      .host_offsets = cut->host_offsets + g->first,
                                      .window_count = g->count,
                                      .windows_before = g->first};

    if (last)
        args.out_txt = text->out;
    SVR_TRY(make_qkv(run, &g->tokens, &args.vid, err));
    SVR_TRY(svr_exec_alloc(run->exec, run->dit->storage,
                           SVR_DIMS(args.vid.dims[0], attention_width(run)), &args.out_vid, err));
    SVR_TRY(svr_op_window_attention(run->exec, &args, err));
    svr_exec_free(run->exec, &args.vid);
    return project_out_rows(run, &g->tokens, &args.out_vid, err);
}

static svr_status attend_in_groups(const dit_run *run, svr_error *err)
{
    text_part text;

    SVR_TRY(open_text(run, &text, err));
    for (int first = 0; first < cut_of(run)->window_count;) {
        group g = next_group(run, first);

        SVR_TRY(attend_group(run, &g, &text, err));
        first += g.count;
    }
    return close_text(run, &text, err);
}

svr_status svr_dit_attention(const dit_run *run, svr_error *err)
{
    int64_t tokens = run->streams[DIT_VIDEO].dims[0];

    return svr_dit_run_chunk(run, tokens) < tokens ? attend_in_groups(run, err)
                                                   : attend_whole(run, err);
}
