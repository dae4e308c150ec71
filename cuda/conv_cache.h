/* Which way each convolution takes, remembered in memory and in a file.
 *
 * A choice holds for one identity: GPU, driver, cuDNN and module version; each identity has a file
 * of its own.  A file that is missing, damaged or of another identity counts as empty, one that
 * cannot be written is given up with a line in the log: it only costs measuring again.  No CUDA in
 * here.  Level 2.  Thread: one at a time; processes may share the folder, the last one to save
 * wins. */
#ifndef SVR_CUDA_CONV_CACHE_H
#define SVR_CUDA_CONV_CACHE_H

#include "backend/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a choice depends on: dtype, x [T,H,W,C], w [K,kt,kh,kw], strides, paddings, frames in front
 * of x (-1: none), whether there is a residual, groups of the statistics (0: none). */
enum { SVR_CONV_KEY_VALUES = 18 };

typedef struct svr_conv_key {
    int64_t values[SVR_CONV_KEY_VALUES];
} svr_conv_key;

typedef struct svr_conv_choice {
    int plan;       /* of cuDNN's list for this shape; -1: the own kernel */
    int64_t engine; /* of that plan, to see that the list is still the same; -1 without plan */
    int64_t own_us; /* what was measured; 0: nothing */
    int64_t dnn_us; /* of the fastest plan; 0: none */
    bool for_now;   /* holds for this cache only and is not saved, e.g. when memory was short */
} svr_conv_choice;

typedef struct svr_conv_cache svr_conv_cache;

/* Frames of head and recent together; -1 without head and -2 for a head that starts, where frame 0
 * is repeated. */
int64_t svr_conv3d_before(const svr_conv3d_args *args);

svr_conv_key svr_conv_key_of(const svr_conv3d_args *args);

bool svr_conv_key_equal(const svr_conv_key *a, const svr_conv_key *b);

/* Reads what is known about `identity` in `folder` (NULL: nothing is read or saved), both copied;
 * `log` is borrowed.  NULL when there is no memory. */
svr_conv_cache *svr_conv_cache_open(const char *folder, const char *identity, const svr_log *log);

/* Accepts NULL. */
void svr_conv_cache_close(svr_conv_cache *cache);

/* True with the choice of a known key. */
bool svr_conv_cache_find(const svr_conv_cache *cache, const svr_conv_key *key,
                         svr_conv_choice *choice);

/* Enters or replaces a choice and saves the file, by renaming a complete one; makes the folder. */
void svr_conv_cache_put(svr_conv_cache *cache, const svr_conv_key *key,
                        const svr_conv_choice *choice);

/* The path of the file; NULL without a folder. */
const char *svr_conv_cache_path(const svr_conv_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
