/* The CPU backend: the reference that every other backend is compared with, and the one that runs
 * where there is no GPU.  Plain C on all cores, with the inner loops compiled for several
 * instruction sets (cpu_simd.h).  Level 2. */
#ifndef SVR_CPU_CPU_BACKEND_H
#define SVR_CPU_CPU_BACKEND_H

#include "backend/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Limits for tests and careful hosts; zero means no limit. */
typedef struct svr_cpu_options {
    uint64_t memory_limit_bytes; /* allocations beyond it fail with NO_MEM */
    uint64_t fail_allocation;    /* the n-th allocation (from 1) fails with NO_MEM */
    int threads;                 /* 0: all cores */
    const char *instructions;    /* "generic", "x86-64-v3", "x86-64-v4"; NULL: the best */
} svr_cpu_options;

/* `options` NULL: defaults.  The caller owns *out; end with svr_backend_destroy().
 * Errors: NO_MEM, UNSUPPORTED (this machine or build does not have the instruction set). */
SVR_CHECKED svr_status svr_cpu_backend_create(const svr_cpu_options *options, svr_backend **out,
                                              svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
