/* A view of a dense, row-major tensor.  It owns nothing; whoever made the view names the owner.
 *
 * Shape letters used in all headers: T time (frames), H, W, C channels; zT zH zW the same of a
 * latent; S tokens, D width; hd head width.  Activations are channels-last: [T,H,W,C].
 * Level 0.  Thread: any (a plain value). */
#ifndef SVR_BASE_TENSOR_H
#define SVR_BASE_TENSOR_H

#include "base/dtype.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SVR_MAX_RANK = 5 };

typedef struct svr_tensor {
    void *data; /* address in the memory of the backend (host memory for the CPU backend) */
    svr_dtype dtype;
    int rank;                   /* 0..SVR_MAX_RANK; 0 with data NULL means "no tensor" */
    int64_t dims[SVR_MAX_RANK]; /* outermost first */
} svr_tensor;

/* Views of `data` with the given sizes. */
svr_tensor svr_tensor_1d(void *data, svr_dtype dtype, int64_t a);
svr_tensor svr_tensor_2d(void *data, svr_dtype dtype, int64_t a, int64_t b);
svr_tensor svr_tensor_3d(void *data, svr_dtype dtype, int64_t a, int64_t b, int64_t c);
svr_tensor svr_tensor_4d(void *data, svr_dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d);

/* True for a view that holds something (data set). */
bool svr_tensor_present(const svr_tensor *t);

/* Number of elements (1 for rank 0); the caller made sure that it fits. */
int64_t svr_tensor_elems(const svr_tensor *t);

/* Bytes, = elems * size of the type. */
size_t svr_tensor_bytes(const svr_tensor *t);

/* Sub-range [first, first + count) of the outermost axis; a view into the same memory. */
svr_tensor svr_tensor_slice(const svr_tensor *t, int64_t first, int64_t count);

/* The same memory as [a, b] with a * b equal to the number of elements. */
svr_tensor svr_tensor_as_2d(const svr_tensor *t, int64_t a, int64_t b);

bool svr_tensor_same_shape(const svr_tensor *a, const svr_tensor *b);

/* "f32 [5, 48, 64, 3]" into `text`, always NUL-terminated; returns `text`. */
char *svr_tensor_describe(const svr_tensor *t, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
