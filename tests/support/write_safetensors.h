/* Writes small safetensors files for tests, proper and broken ones. */
#ifndef SVR_TESTS_WRITE_SAFETENSORS_H
#define SVR_TESTS_WRITE_SAFETENSORS_H

#include "base/dtype.h"
#include "base/tensor.h"

#include <stddef.h>

typedef struct test_tensor {
    const char *name;
    svr_dtype dtype;
    int rank;
    int64_t dims[SVR_MAX_RANK];
    const void *data; /* NULL: zeros */
} test_tensor;

/* A proper file; `config` (may be NULL) goes to the metadata under that key. */
void test_write_safetensors(const char *path, const test_tensor *tensors, size_t count,
                            const char *config);

/* Length, the given header text, and `data_bytes` zeros behind it. */
void test_write_header(const char *path, const char *header, size_t data_bytes);

/* Any bytes. */
void test_write_bytes(const char *path, const void *bytes, size_t size);

#endif
