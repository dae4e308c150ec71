/* Lists of the tensors that a network has.  Internal to weights.  Level 2.
 * Thread: one at a time. */
#ifndef SVR_WEIGHTS_SPECS_H
#define SVR_WEIGHTS_SPECS_H

#include "base/arena.h"
#include "weights/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Grows while specs are added; when there is no memory it stays `failed`, so that the makers of
 * lists need not look at every step. */
typedef struct svr_spec_list {
    svr_arena *arena;       /* owns the names; borrowed */
    svr_weight_spec *specs; /* malloc'ed, owned by whoever owns the list */
    size_t count, capacity;
    bool failed;
} svr_spec_list;

/* Appends a tensor; `name` is copied. */
void svr_spec_add(svr_spec_list *list, const char *name, int rank, const int64_t *dims);

/* Marks the tensor that was added last as one that may be missing, or as a factor. */
void svr_spec_mark_optional(svr_spec_list *list);
void svr_spec_mark_factor(svr_spec_list *list);

/* `prefix`.weight and `prefix`.bias: a norm or bias pair [channels], a matrix [out,in] with bias, a
 * convolution [out,in,k[0],k[1],k[2]] with bias. */
void svr_spec_add_norm(svr_spec_list *list, const char *prefix, int64_t channels);
void svr_spec_add_linear(svr_spec_list *list, const char *prefix, int64_t out, int64_t in);
void svr_spec_add_conv(svr_spec_list *list, const char *prefix, int64_t out, int64_t in,
                       const int64_t kernel[3]);

/* Order of two specs by name, for qsort() and bsearch(). */
int svr_spec_by_name(const void *a, const void *b);

/* All tensors of a network.  Source: spec vae and dit, key lists. */
void svr_specs_of_vae(const svr_vae_config *config, svr_spec_list *list);
void svr_specs_of_dit(const svr_dit_config *config, svr_spec_list *list);

#ifdef __cplusplus
}
#endif
#endif
