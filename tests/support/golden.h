/* Golden files in tests: tensors as host arrays, and the measures of their manifests.
 *
 * Whatever is not as expected (no file, no tensor, another type or size) prints what and ends the
 * program with status 1.  Files are closed with svr_safetensors_close(). */
#ifndef SVR_TESTS_GOLDEN_H
#define SVR_TESTS_GOLDEN_H

#include "weights/safetensors.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens DATA_DIR/goldens/NAME.safetensors. */
svr_safetensors *golden_open(const char *data_dir, const char *name);

/* True when the file has the tensor. */
bool golden_has(const svr_safetensors *file, const char *name);

/* A tensor that must be there; it lives as long as the file is open. */
const svr_safetensors_entry *golden_entry(const svr_safetensors *file, const char *name);

/* Elements of a float tensor in new memory, their number in *count (may be NULL); the caller frees.
 */
float *golden_floats(const svr_safetensors *file, const char *name, size_t *count);

/* The `count` elements of an int32 tensor. */
void golden_ints(const svr_safetensors *file, const char *name, int *out, size_t count);

/* [channels][places] to [places][channels]. */
void golden_channels_last(const float *planes, size_t channels, size_t places, float *pixels);

/* How far `got` is from `want`. */
typedef struct golden_error {
    double max, mean, p99, p999; /* of |got - want|; percentiles are ranks, not interpolated */
    double rel_l2;               /* |got - want| / |want| */
    double max_std;              /* max / standard deviation of `want` */
    double psnr;                 /* dB, for values in [0,1]; infinite when all are equal */
} golden_error;

/* A value that is not finite counts as infinitely far.  count >= 1. */
golden_error golden_compare(const float *got, const float *want, size_t count);

/* Share of values that are more than `limit` apart. */
double golden_share_beyond(const float *got, const float *want, size_t count, double limit);

/* Distance in units of the last place of two finite floats. */
int golden_ulp(float a, float b);

#endif
