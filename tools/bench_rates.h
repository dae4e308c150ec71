/* What a device can do at most, measured with its backend's own ops and copies on random data. */
#ifndef SEEDVR2_BENCH_RATES_H
#define SEEDVR2_BENCH_RATES_H

#include "backend/backend.h"

typedef struct bench_rates {
    int gemm_size;           /* n of the n x n x n product */
    double gemm;             /* flop/s, held for a third of a second */
    double copy;             /* bytes/s read and written by the op `copy` */
    double upload, download; /* bytes/s from and to pageable host memory */
    double in, out;          /* bytes/s from and to page-locked host memory, one at a time */
} bench_rates;

/* `storage`: type of operands and copied elements.  A GPU needs 2 GiB free for this.
 * Errors: NO_MEM, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status bench_measure_rates(svr_backend *backend, svr_dtype storage,
                                           bench_rates *out, svr_error *err);

#endif
