/* The streams that selftest makes, for its checks. */
#ifndef SEEDVR2_SELFTEST_ENGINE_H
#define SEEDVR2_SELFTEST_ENGINE_H

#include "selftest.h"

typedef enum selftest_stream {
    SELFTEST_AUTO = 0,
    SELFTEST_AGAIN, /* the same */
    SELFTEST_ECONOMY,
    SELFTEST_EXTREME,
    SELFTEST_BUDGET,   /* auto, half-way between the smallest budget and auto's peak */
    SELFTEST_SMALLEST, /* auto with the smallest budget */
    SELFTEST_STREAMS
} selftest_stream;

typedef struct selftest_state {
    const selftest_setup *setup;
    selftest_report *report;
    uint8_t *clip;
    selftest_run runs[SELFTEST_STREAMS];
    double psnr_db[SELFTEST_STREAMS]; /* against AUTO's picture */
    selftest_run plain;               /* as AUTO, without colour correction */
    selftest_run none, below; /* with a budget of a byte, and with 1 MiB less than the smallest */
    uint64_t smallest;        /* budget that the first refusal names; 0: it names none */
} selftest_state;

const char *selftest_stream_name(selftest_stream stream);

/* The stream was made, and all its frames came. */
bool selftest_worked(const selftest_run *run);

/* The budget that a refusal names, in bytes; 0 when it names none. */
uint64_t selftest_named_budget(const selftest_run *refused);

/* Each prints its lines. */
void selftest_check_picture(const selftest_state *state);
void selftest_check_plan(const selftest_state *state);
void selftest_check_modes(const selftest_state *state);
void selftest_check_budget(const selftest_state *state);
void selftest_check_cleanup(const selftest_state *state);
void selftest_check_monitoring(const selftest_state *state);
void selftest_check_speed(const selftest_state *state);

#endif
