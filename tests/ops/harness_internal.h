/* What the files of the harness share: benches and arrays from inside. */
#ifndef SVR_TESTS_OPS_HARNESS_INTERNAL_H
#define SVR_TESTS_OPS_HARNESS_INTERNAL_H

#include "harness.h"

enum { OPS_MOST_ARRAYS = 32, OPS_MOST_BLOCKS = 32 };

typedef enum role { INPUT, OUTPUT, IN_PLACE } role;

struct ops_array {
    ops_bench *bench;
    role role;
    svr_tensor device;        /* view that ops get */
    unsigned char *block;     /* device memory: guard, array, guard */
    size_t lead, bytes, size; /* bytes in front, of the array, of the block */
    unsigned char *before;    /* host image of the block as uploaded */
    unsigned char *after;     /* host image as it came back from the first run */
    double *values;           /* reference side; NULL for I32 */
};

struct ops_bench {
    svr_backend *backend, *twin;
    char label[256];
    int cases, refused;
    bool small, aligned;
    bool round_biases; /* ops_bench_round_biases() */
    bool unsupported;  /* this case: the device said so, nothing to compare */
    test_random random;
    ops_array arrays[OPS_MOST_ARRAYS];
    int array_count;
    void *blocks[OPS_MOST_BLOCKS]; /* ops_doubles() */
    int block_count;
    unsigned char *scratch_memory;
    unsigned char *poison, *image; /* host sides of the scratch memory */
    size_t workspace, poisoned;    /* bytes of the op at work; bytes that were poisoned */
    svr_scratch *scratch;
    svr_exec exec;
};

/* Rounds one value to the type, stores it, returns it. */
double ops_put(svr_dtype dtype, unsigned char *at, double value);

#endif
