/* The families of golden files and what they share.
 *
 * Each verify_<family>() compares one opened file and prints its lines; it returns a failure only
 * when the file (or what belongs to it) cannot be used. */
#ifndef SEEDVR2_VERIFY_VERIFY_H
#define SEEDVR2_VERIFY_VERIFY_H

#include "pipeline/quantization.h"
#include "vae/vae.h"
#include "verify/compare.h"
#include "verify/device.h"
#include "verify/golden.h"

/* How VAEs park: pieces of a frame, sweeps that carry `carried` frames of full size or one step,
 * and what of the parked frames is in 8 bits. */
typedef struct verify_parking {
    bool active; /* false: clips go as their files say */
    int carried;
    svr_dtype type;
    unsigned what; /* of svr_vae_parked */
} verify_parking;

/* For frames of `values` values at full size. */
svr_vae_memory verify_parking_memory(const verify_parking *parking, int64_t values);

typedef struct verify_run {
    svr_backend *backend;
    svr_dtype dtype; /* storage type of the networks */
    svr_quantization quantization;
    verify_parking parking;
    svr_dtype factors;     /* of the transformer that is compared now, as it is kept */
    const char *model_dir; /* where models that do not lie beside a golden are looked for */
    device device;
    verify_report report;
} verify_run;

/* A file or a folder of files; `run` holds backend, dtype and model_dir.  Files that cannot be used
 * are named on stderr and counted. */
void verify_path(verify_run *run, const char *path);

/* `got` (n values; NULL: the network did not show it) against tensor `name` of the file, element by
 * element in the file's order; other sizes are a FAIL line. */
SVR_CHECKED svr_status verify_tensor(verify_run *run, const golden *g, const char *name,
                                     const float *got, size_t n, const verify_limit *limit,
                                     svr_error *err);

svr_status verify_vae(verify_run *run, const golden *g, svr_error *err);
svr_status verify_dit_case(verify_run *run, const golden *g, svr_error *err);
svr_status verify_dit_block(verify_run *run, const golden *g, svr_error *err);
svr_status verify_dit_angles(verify_run *run, const golden *g, svr_error *err);
svr_status verify_dit_windows(verify_run *run, const char *path, svr_error *err);
svr_status verify_pipe_sampler(verify_run *run, const golden *g, svr_error *err);
svr_status verify_pipe_tables(verify_run *run, const golden *g, svr_error *err);
svr_status verify_pipe_blend(verify_run *run, const golden *g, svr_error *err);
svr_status verify_pipe_resize(verify_run *run, const golden *g, svr_error *err);
svr_status verify_pipe_colour(verify_run *run, const golden *g, svr_error *err);
svr_status verify_pipe_alpha(verify_run *run, const golden *g, svr_error *err);
svr_status verify_pipe_noise(verify_run *run, const golden *g, svr_error *err);
svr_status verify_pipe_e2e(verify_run *run, const golden *g, svr_error *err);
svr_status verify_nano(verify_run *run, const golden *g, svr_error *err);
svr_status verify_text(verify_run *run, const golden *g, svr_error *err);

#endif
