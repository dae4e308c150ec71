/* Reading of what a model file says about itself: bounded sizes from shapes, and members of the
 * JSON text under `config` of the metadata.  Internal to weights.  Level 2.  Thread: one at a time.
 */
#ifndef SVR_WEIGHTS_CONFIG_TEXT_H
#define SVR_WEIGHTS_CONFIG_TEXT_H

#include "base/arena.h"
#include "base/json.h"
#include "weights/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limit of any width: far above every model, far below where products of sizes overflow. */
enum { SVR_CONFIG_MAX_WIDTH = 65536 };

typedef struct svr_config_text {
    const svr_safetensors *file;
    svr_arena *arena;
    const svr_json *json; /* NULL when the file carries no config */
} svr_config_text;

/* Parses the file's config, if it has one; end with svr_config_text_close() also on failure.
 * Errors: FORMAT (no JSON object), NO_MEM. */
SVR_CHECKED svr_status svr_config_text_open(const svr_safetensors *file, svr_config_text *out,
                                            svr_error *err);
void svr_config_text_close(svr_config_text *text);

/* In all of the following `keys` is a list of spellings, "dim|vid_dim"; the first that the config
 * has counts; null counts as absent, and absent members leave *value alone (or agree). Errors:
 * FORMAT naming file, key and value. */

SVR_CHECKED svr_status svr_config_int(const svr_config_text *text, const char *keys, int lo, int hi,
                                      int *value, svr_error *err);
SVR_CHECKED svr_status svr_config_float(const svr_config_text *text, const char *keys, double lo,
                                        double hi, float *value, svr_error *err);
SVR_CHECKED svr_status svr_config_bool(const svr_config_text *text, const char *keys, bool *value,
                                       svr_error *err);
/* Exactly `count` integers, each 1 .. most. */
SVR_CHECKED svr_status svr_config_ints(const svr_config_text *text, const char *keys, int count,
                                       int most, int *values, svr_error *err);

/* Contradictions between the config and the shapes: `actual` was read from `tensor`. */
SVR_CHECKED svr_status svr_config_agree(const svr_config_text *text, const char *keys, int actual,
                                        const char *tensor, svr_error *err);
SVR_CHECKED svr_status svr_config_agree_ints(const svr_config_text *text, const char *keys,
                                             int count, const int *actual, const char *tensor,
                                             svr_error *err);
/* The word at `keys` must be `actual`, which follows from `tensor`. */
SVR_CHECKED svr_status svr_config_agree_word(const svr_config_text *text, const char *keys,
                                             const char *actual, const char *tensor,
                                             svr_error *err);

/* Size of axis `axis` of tensor `name`, which must have rank `rank` and a size of
 * 1..SVR_CONFIG_MAX_WIDTH there.  Errors: FORMAT. */
SVR_CHECKED svr_status svr_config_size(const svr_safetensors *file, const char *name, int rank,
                                       int axis, int *value, svr_error *err);

/* How many of the names `before` 0 `after`, `before` 1 `after`, … are in the file, up to the first
 * that is not; at most `limit` + 1. */
int svr_config_count(const svr_safetensors *file, const char *before, const char *after, int limit);

#ifdef __cplusplus
}
#endif
#endif
