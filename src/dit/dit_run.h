/* What the two halves of a block share: the block at work, and the factors of its products.
 * Level 4.  Thread: the one that computes. */
#ifndef SVR_DIT_DIT_RUN_H
#define SVR_DIT_DIT_RUN_H

#include "dit/dit_internal.h"

#include "backend/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A block at work. */
typedef struct dit_run {
    svr_exec *exec;
    const svr_dit *dit;
    const svr_dit_io *io;
    int layer;
    const dit_block *block;
    const svr_tensor *streams; /* residuals: video [Nv,D], text [L,D] F32 */
    bool text_result;          /* the text goes on behind the block */
} dit_run;

/* Attention: from the streams and back to them. */
SVR_CHECKED svr_status svr_dit_attention(const dit_run *run, svr_error *err);

/* An item of the store, see svr_dit_item(), and its scale. */
svr_tensor svr_dit_run_item(const dit_run *run, int id);
svr_tensor svr_dit_run_scale(const dit_run *run, int id);

svr_tensor svr_dit_run_modulation(const dit_run *run, dit_stream stream, dit_part part, int kind);

/* How many of `tokens` are worked on at a time. */
int64_t svr_dit_run_chunk(const dit_run *run, int64_t tokens);

/* What a product takes: rows in the storage type, or quantised with their scales. */
typedef struct dit_factor {
    svr_tensor rows, scale; /* scale: quantised only */
} dit_factor;

/* Scratch memory for a factor [tokens, width]. */
SVR_CHECKED svr_status svr_dit_take_factor(const dit_run *run, int64_t tokens, int64_t width,
                                           dit_factor *out, svr_error *err);
void svr_dit_free_factor(const dit_run *run, dit_factor *factor);

/* Rows [first, first + count). */
dit_factor svr_dit_factor_rows(const dit_factor *factor, int64_t first, int64_t count);

/* x [n, width] as a factor, which replaces it: x is freed where it is not needed any more. */
SVR_CHECKED svr_status svr_dit_make_factor(const dit_run *run, svr_tensor *x, dit_factor *out,
                                           svr_error *err);

/* x w^T for the matrix `weight`. */
svr_linear_args svr_dit_product(const dit_run *run, const dit_factor *x, int weight);

/* Tokens of a stream: its rows as they lie in `x`, or those that `rows` [n] I32 numbers. */
typedef struct dit_tokens {
    dit_stream stream;
    svr_tensor x, rows;
} dit_tokens;

/* All tokens of a stream. */
dit_tokens svr_dit_all_tokens(const dit_run *run, dit_stream stream);

int64_t svr_dit_token_count(const dit_tokens *tokens);

/* Tokens [first, first + count) of these. */
dit_tokens svr_dit_some_tokens(const dit_tokens *tokens, int64_t first, int64_t count);

/* y = rms(tokens), modulated unless the text ends in this block. */
SVR_CHECKED svr_status svr_dit_norm(const dit_run *run, dit_part part, const dit_tokens *tokens,
                                    const dit_factor *y, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
