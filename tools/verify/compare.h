/* Comparison of computed values with golden ones: statistics, limits, one printed line a tensor. */
#ifndef SEEDVR2_VERIFY_COMPARE_H
#define SEEDVR2_VERIFY_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What may differ.  Members that are 0 (false) do not limit; all others must hold. */
typedef struct verify_limit {
    bool exact;       /* every value equal */
    double ulp;       /* units in the last place of the golden F32 value */
    double max_abs;   /* largest absolute difference */
    double rel_l2;    /* norm of the difference / norm of the golden values */
    double max_std;   /* largest difference / standard deviation of the golden values */
    double mean_abs;  /* mean absolute difference */
    double p99, p999; /* percentiles of the absolute difference */
    double share;     /* part of the values that differ by more than `share_from` */
    double share_from;
    double psnr_db; /* at least this, for values in [0,1] */
} verify_limit;

/* Counts of a whole run, and the file that is compared now. */
typedef struct verify_report {
    const char *file;             /* prefix of the printed names */
    struct verify_ladder *ladder; /* takes all values instead, and nothing is counted; or NULL */
    bool quiet;                   /* counts only */
    int passed, failed, unreadable;
} verify_report;

/* Prints "file/name max_abs rel_l2 limit ok|FAIL" for n values and counts it.  NaN fails. */
void verify_compare(verify_report *report, const char *name, const float *got, const float *want,
                    size_t n, const verify_limit *limit);

/* The same for integers, which must be equal. */
void verify_compare_ints(verify_report *report, const char *name, const int64_t *got,
                         const int64_t *want, size_t n);

/* From the least to the largest of n > 0 values. */
double verify_range(const float *values, size_t n);

/* A tensor that could not be compared, as a FAIL line with the reason instead of numbers. */
void verify_fail(verify_report *report, const char *name, const char *reason);

#endif
