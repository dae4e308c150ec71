/* The ladder: results of networks in 8 bits beside those of the same ones in 16, as PSNR.  A first
 * run keeps what comes out, the following ones are held against that instead of against the golden
 * values. */
#ifndef SEEDVR2_VERIFY_LADDER_H
#define SEEDVR2_VERIFY_LADDER_H

#include <glib.h>
#include <stdbool.h>

/* What is in 8 bits. */
typedef enum verify_ladder_kind {
    VERIFY_LADDER_WEIGHTS, /* of transformers */
    VERIFY_LADDER_PARKED   /* what the VAE parks */
} verify_ladder_kind;

typedef struct verify_ladder {
    verify_ladder_kind kind;
    GHashTable *plain; /* float arrays by "file/tensor" */
    const char *rung;  /* NULL: the run that is kept */
    double least;      /* dB of this rung */
    int compared;
} verify_ladder;

void verify_ladder_init(verify_ladder *ladder, verify_ladder_kind kind);
void verify_ladder_finish(verify_ladder *ladder);

/* Begins a run; `rung` is borrowed, NULL is the one that is kept. */
void verify_ladder_begin(verify_ladder *ladder, const char *rung);

/* Takes n values: pictures (peak 1) and results of the networks in question (peak: their range),
 * nothing else.  Prints "rung file/tensor PSNR dB, l2 relative error". */
void verify_ladder_take(verify_ladder *ladder, const char *file, const char *tensor,
                        const float *got, size_t n);

/* Prints the least of a run, if it compared anything. */
void verify_ladder_end(const verify_ladder *ladder);

#endif
