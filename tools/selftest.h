/* A validation of this installation: a short stream in every way of arranging its memory, each held
 * against the plan, the ledger, the device and the first one's picture. */
#ifndef SEEDVR2_SELFTEST_H
#define SEEDVR2_SELFTEST_H

#include "pipeline/upscaler.h"

#include <glib.h>

/* ------------------------------------------------------------------ report */

typedef enum selftest_verdict {
    SELFTEST_PASS = 0,
    SELFTEST_FAIL,
    SELFTEST_SKIP, /* cannot be checked here */
    SELFTEST_INFO, /* numbers without a judgement */
    SELFTEST_VERDICTS
} selftest_verdict;

typedef struct selftest_report {
    bool json; /* nothing is printed before the end */
    int count[SELFTEST_VERDICTS];
    GString *lines; /* of JSON */
} selftest_report;

void selftest_report_begin(selftest_report *report, bool json);

/* "[pass] name: text"; `text` is printf's. */
void selftest_line(selftest_report *report, selftest_verdict verdict, const char *name,
                   const char *text, ...) G_GNUC_PRINTF(4, 5);

static inline selftest_verdict selftest_judge(bool ok)
{
    return ok ? SELFTEST_PASS : SELFTEST_FAIL;
}

/* "N passed, N failed, N skipped", or all of it as one line of JSON.  True without a failure. */
bool selftest_report_end(selftest_report *report);

/* Ends it without a word, where a file turned out unusable. */
void selftest_report_drop(selftest_report *report);

/* ------------------------------------------------------------------ clip */

/* Tightly packed I420 frames with waves and an edge that move; g_free(). */
uint8_t *selftest_paint(const svr_video_info *info, int frames);

typedef struct selftest_picture {
    double psnr_db; /* luma against the bicubically resized input */
    int darkest, brightest;
} selftest_picture;

/* `out`: `frames` frames that were made of `in`. */
SVR_CHECKED svr_status selftest_look(const svr_video_info *in_info, const uint8_t *in,
                                     const svr_video_info *out_info, const uint8_t *out, int frames,
                                     selftest_picture *picture, svr_error *err);

/* Of n bytes; infinite for equal ones. */
double selftest_psnr(const uint8_t *a, const uint8_t *b, size_t n);

/* ------------------------------------------------------------------ one stream */

enum { SELFTEST_BATCHES = 3 };

typedef struct selftest_setup {
    svr_backend_kind backend;
    int device;
    const char *model_path, *vae_path, *text_path, *cache_folder;
    int width, height, batch_size;
    int floor_db; /* of the picture against the resized input */
    svr_log log;
    struct svr_backend *probe; /* tells what the device has free while no stream is there */
} selftest_setup;

/* What came of SELFTEST_BATCHES batches through the public API.  Numbers are those of events. */
typedef struct selftest_run {
    svr_status status;
    svr_error err;
    uint8_t *output; /* all frames; NULL when it failed.  selftest_run_finish() */
    char backend[16];
    int loads, plans, batches, closes;       /* events */
    svr_upscaler_stats planned, first, last; /* of PLANNED, of the first and the last batch */
    svr_memory_stats closed;
    uint64_t first_ns, last_ns; /* when these batches were done */
    /* of the whole device, 0 when it does not tell: before, least during, and after destroy */
    uint64_t free_before, free_least, free_after;
} selftest_run;

svr_video_info selftest_input(const selftest_setup *setup);
svr_video_info selftest_output(const selftest_setup *setup);
int selftest_frames(const selftest_setup *setup);

/* A way to make the stream. */
typedef struct selftest_request {
    svr_memory_request memory;
    svr_colour_method colour;
} selftest_request;

/* Creates an upscaler, computes, destroys it.  `clip`: selftest_frames() frames of the input. */
void selftest_run_stream(const selftest_setup *setup, const selftest_request *request,
                         uint8_t *clip, selftest_run *run);
void selftest_run_finish(selftest_run *run);

/* ------------------------------------------------------------------ checks */

/* All of the engine; a line each.  Fails, with no line, where the first stream does not work at
 *all. storage: that of activations. */
SVR_CHECKED svr_status selftest_engine(const selftest_setup *setup, selftest_report *report,
                                       svr_dtype *storage, svr_error *err);

/* The shipped model's goldens in `folder`; NULL: skipped. */
void selftest_goldens(const selftest_setup *setup, const char *folder, svr_dtype storage,
                      selftest_report *report);

#endif
