/* A golden file: its tensors as host arrays, its metadata as numbers.
 *
 * Arrays belong to the caller (g_free).  A tensor that is missing or has another shape than its
 * kind demands is an error of the file: FORMAT with file and tensor. */
#ifndef SEEDVR2_VERIFY_GOLDEN_H
#define SEEDVR2_VERIFY_GOLDEN_H

#include "weights/safetensors.h"

#include <glib.h>

typedef struct golden {
    svr_safetensors *file;
    char *stem; /* file name without folder and ".safetensors" */
    char *folder;
} golden;

SVR_CHECKED svr_status golden_open(const char *path, golden *out, svr_error *err);
void golden_close(golden *g);

bool golden_has(const golden *g, const char *name);

/* Whether any tensor's name begins like this. */
bool golden_has_any(const golden *g, const char *prefix);

/* What stands before `suffix` in the names that end with it, in order of the names; g_strfreev().
 */
char **golden_prefixes(const golden *g, const char *suffix);

/* The entry of a tensor of rank `rank` (-1: any).  Errors: FORMAT. */
SVR_CHECKED svr_status golden_entry(const golden *g, const char *name, int rank,
                                    const svr_safetensors_entry **out, svr_error *err);

/* All elements as floats (any type) or as integers (I32, I64, U8). */
SVR_CHECKED svr_status golden_floats(const golden *g, const char *name, float **out,
                                     svr_error *err);
SVR_CHECKED svr_status golden_ints(const golden *g, const char *name, int64_t **out,
                                   svr_error *err);

/* Exactly `n` integers into `out`. */
SVR_CHECKED svr_status golden_few_ints(const golden *g, const char *name, size_t n, int *out,
                                       svr_error *err);

/* A tensor [C,T,H,W] or [1,C,T,H,W] as channels-last [T,H,W,C]; dims gets T,H,W,C. */
SVR_CHECKED svr_status golden_channels_last(const golden *g, const char *name, float **out,
                                            int64_t dims[4], svr_error *err);

/* Metadata: an integer, and `n` integers written like "(32, 40)".  Errors: FORMAT. */
SVR_CHECKED svr_status golden_meta_int(const golden *g, const char *key, int *out, svr_error *err);
SVR_CHECKED svr_status golden_meta_tuple(const golden *g, const char *key, size_t n, int *out,
                                         svr_error *err);

/* The weights beside a case: <prefix><separator>weights.safetensors for the longest prefix of the
 * stem that ends at a '.' or '_'.  Errors: IO when there is none. */
SVR_CHECKED svr_status golden_weights_path(const golden *g, char **out, svr_error *err);

/* dst[order of axes] = src: axis i of the result is axis order[i] of `src`. */
float *golden_permute(const float *src, const int64_t dims[4], const int order[4]);

#endif
