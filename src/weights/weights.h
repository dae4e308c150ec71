/* The tensors of one network: which there must be, and where their values come from.
 *
 * A list of specs is made from the configuration; binding it to a file refuses missing, extra and
 * misshapen tensors by name.  Values are read as F32, so nobody above knows how a file stores them.
 * Level 2.  Thread: any for reading. */
#ifndef SVR_WEIGHTS_WEIGHTS_H
#define SVR_WEIGHTS_WEIGHTS_H

#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A tensor that a checkpoint has. */
typedef struct svr_weight_spec {
    const char *name; /* checkpoint name */
    int rank;
    int64_t dims[SVR_MAX_RANK];
    bool optional; /* may be missing (rotary buffers, the last block's unused text) */
    bool factor;   /* [N,K], a large matrix of a transformer's block, which may be kept in 8 bits */
} svr_weight_spec;

typedef struct svr_weights svr_weights;

/* Source of values that is not a file (verification, benchmarks): fills dst with elements
 * [first, first + count) of the tensor, row-major. */
typedef svr_status (*svr_weight_generator)(void *user, const svr_weight_spec *spec, size_t first,
                                           size_t count, float *dst, svr_error *err);

/* Checks `file` against what `config` demands; the file is borrowed and must outlive *out.  Old
 * attention names (query, key, value, proj_attn) are accepted.  Matrices may be I8 or F8_E4M3 with
 * scales: a tensor <name>_scale F32 that holds one for each row, [N] or [N,1], or one for all; I8
 * must have it, F8_E4M3 without it are plain values.  Notes <layer>.comfy_quant beside them may say
 * nothing else (spec weights 5.2).  Errors: FORMAT, UNSUPPORTED (a note says something else),
 * NO_MEM, IO. */
SVR_CHECKED svr_status svr_weights_bind_vae(const svr_safetensors *file,
                                            const svr_vae_config *config, svr_weights **out,
                                            svr_error *err);
SVR_CHECKED svr_status svr_weights_bind_dit(const svr_safetensors *file,
                                            const svr_dit_config *config, svr_weights **out,
                                            svr_error *err);

/* The same tables with generated values. */
SVR_CHECKED svr_status svr_weights_generate_vae(const svr_vae_config *config,
                                                svr_weight_generator generator, void *user,
                                                svr_weights **out, svr_error *err);
SVR_CHECKED svr_status svr_weights_generate_dit(const svr_dit_config *config,
                                                svr_weight_generator generator, void *user,
                                                svr_weights **out, svr_error *err);

/* Accepts NULL. */
void svr_weights_destroy(svr_weights *weights);

/* The spec of a tensor that has values; NULL when there is none of this name. */
const svr_weight_spec *svr_weights_find(const svr_weights *weights, const char *name);

size_t svr_weights_count(const svr_weights *weights);
const svr_weight_spec *svr_weights_at(const svr_weights *weights, size_t index);

/* All elements of tensor `name` as F32; `count` must be their number.
 * Errors: INVALID (no such tensor, wrong count), IO, and the generator's. */
SVR_CHECKED svr_status svr_weights_read(const svr_weights *weights, const char *name, float *dst,
                                        size_t count, svr_error *err);

/* Elements [first, first + count) of tensor `name`, row-major; the range must lie inside.
 * Errors: as above. */
SVR_CHECKED svr_status svr_weights_read_range(const svr_weights *weights, const char *name,
                                              size_t first, size_t count, float *dst,
                                              svr_error *err);

/* Whether the file keeps tensor `name` as plain `dtype`. */
bool svr_weights_is_stored(const svr_weights *weights, const char *name, svr_dtype dtype);

/* Like svr_weights_read_range() for such a tensor, but in the file's own type.
 * Errors: INVALID (no such range), IO. */
SVR_CHECKED svr_status svr_weights_read_stored(const svr_weights *weights, const char *name,
                                               size_t first, size_t count, void *dst,
                                               svr_error *err);

/* Type of a tensor that the file keeps in 8 bits with scales (I8, F8_E4M3); F32 for all others. */
svr_dtype svr_weights_row_type(const svr_weights *weights, const char *name);

/* Rows [first, first + count) of such a tensor [N,K] as the file has them: count * K numbers to
 * `dst`, `count` scales.  Errors: INVALID (no such rows), IO. */
SVR_CHECKED svr_status svr_weights_read_rows(const svr_weights *weights, const char *name,
                                             size_t first, size_t count, void *dst, float *scales,
                                             svr_error *err);

/* svr_weights_row_type() of the first factor that has one of 8 bits; F32 when none has. */
svr_dtype svr_weights_factor_type(const svr_weights *weights);

/* True when every element of the tensor is exactly 0; false also when it cannot be read. */
bool svr_weights_is_zero(const svr_weights *weights, const char *name);

/* Elements of a spec. */
size_t svr_weight_elems(const svr_weight_spec *spec);

#ifdef __cplusplus
}
#endif
#endif
