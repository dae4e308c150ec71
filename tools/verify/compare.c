#include "verify/compare.h"

#include "verify/ladder.h"

#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Everything that a limit may speak of. */
typedef struct statistics {
    double max_abs, mean_abs, rel_l2, max_std, ulp, p99, p999, share, psnr_db;
} statistics;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;

    return (x > y) - (x < y);
}

double verify_range(const float *values, size_t n)
{
    float least = values[0], most = values[0];

    for (size_t i = 1; i < n; i++) {
        least = fminf(least, values[i]);
        most = fmaxf(most, values[i]);
    }
    return (double) most - (double) least;
}

/* Difference in units of the last place of `want`. */
static double in_ulps(double difference, float want)
{
    float next = nextafterf(fabsf(want), INFINITY);

    return difference / ((double) next - fabs((double) want));
}

static double percentile(const double *sorted, size_t n, double q)
{
    return sorted[(size_t) (q * (double) (n - 1))];
}

static void sums(const float *got, const float *want, size_t n, double *difference, statistics *s)
{
    double sum = 0, squares = 0, error = 0, want_squares = 0, variance;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double) got[i] - (double) want[i]);

        /* a NaN must come out as the worst, whatever the comparison operators make of it */
        d = isnan(d) ? INFINITY : d;
        difference[i] = d;
        sum += want[i];
        want_squares += (double) want[i] * want[i];
        squares += d * d;
        error += d;
        s->max_abs = fmax(s->max_abs, d);
        s->ulp = fmax(s->ulp, in_ulps(d, want[i]));
    }
    variance = fmax(want_squares / (double) n - (sum / (double) n) * (sum / (double) n), 0);
    s->mean_abs = error / (double) n;
    s->rel_l2 = squares == 0 ? 0 : sqrt(squares / want_squares);
    s->max_std = s->max_abs == 0 ? 0 : s->max_abs / sqrt(variance);
    s->psnr_db = squares == 0 ? INFINITY : -10.0 * log10(squares / (double) n);
}

static statistics measure(const float *got, const float *want, size_t n, double share_from)
{
    g_autofree double *difference = g_new(double, n);
    statistics s = {0};
    size_t above = 0;

    sums(got, want, n, difference, &s);
    qsort(difference, n, sizeof(*difference), ascending);
    s.p99 = percentile(difference, n, 0.99);
    s.p999 = percentile(difference, n, 0.999);
    for (size_t i = 0; i < n; i++)
        above += difference[i] > share_from;
    s.share = (double) above / (double) n;
    return s;
}

static void add_bound(GString *text, bool *ok, const char *name, double value, double bound)
{
    if (bound == 0)
        return;
    g_string_append_printf(text, "%s%s<=%.3g", text->len ? "," : "", name, bound);
    /* written so that a NaN fails */
    *ok = *ok && value <= bound;
}

static bool judge(const statistics *s, const verify_limit *limit, GString *text)
{
    bool ok = true;

    if (limit->exact) {
        g_string_append(text, "exact");
        ok = s->max_abs == 0;
    }
    add_bound(text, &ok, "ulp", s->ulp, limit->ulp);
    add_bound(text, &ok, "max", s->max_abs, limit->max_abs);
    add_bound(text, &ok, "l2", s->rel_l2, limit->rel_l2);
    add_bound(text, &ok, "max/std", s->max_std, limit->max_std);
    add_bound(text, &ok, "mean", s->mean_abs, limit->mean_abs);
    add_bound(text, &ok, "p99", s->p99, limit->p99);
    add_bound(text, &ok, "p99.9", s->p999, limit->p999);
    add_bound(text, &ok, "share", s->share, limit->share);
    if (limit->psnr_db != 0) {
        g_string_append_printf(text, "%spsnr(%.1f)>=%.3g", text->len ? "," : "", s->psnr_db,
                               limit->psnr_db);
        ok = ok && s->psnr_db >= limit->psnr_db;
    }
    g_assert(text->len > 0);
    return ok;
}

static void count(verify_report *report, bool ok)
{
    if (ok)
        report->passed++;
    else
        report->failed++;
    fflush(stdout);
}

void verify_compare(verify_report *report, const char *name, const float *got, const float *want,
                    size_t n, const verify_limit *limit)
{
    g_autoptr(GString) text = g_string_new(NULL);
    statistics s;
    bool ok;

    if (report->ladder) {
        verify_ladder_take(report->ladder, report->file, name, got, n);
        return;
    }
    if (n == 0) {
        verify_fail(report, name, "no values");
        return;
    }
    s = measure(got, want, n, limit->share_from);
    ok = judge(&s, limit, text);
    if (!report->quiet)
        printf("%s/%s %.3e %.3e %s %s\n", report->file, name, s.max_abs, s.rel_l2, text->str,
               ok ? "ok" : "FAIL");
    count(report, ok);
}

void verify_compare_ints(verify_report *report, const char *name, const int64_t *got,
                         const int64_t *want, size_t n)
{
    double max = 0, squares = 0, want_squares = 0;
    size_t wrong = 0;

    if (report->ladder)
        return;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double) got[i] - (double) want[i]);

        wrong += got[i] != want[i];
        max = fmax(max, d);
        squares += d * d;
        want_squares += (double) want[i] * (double) want[i];
    }
    if (!report->quiet)
        printf("%s/%s %.3e %.3e exact %s\n", report->file, name, max,
               squares == 0 ? 0 : sqrt(squares / want_squares),
               n > 0 && wrong == 0 ? "ok" : "FAIL");
    count(report, n > 0 && wrong == 0);
}

void verify_fail(verify_report *report, const char *name, const char *reason)
{
    if (report->ladder)
        return;
    if (!report->quiet)
        printf("%s/%s - - (%s) FAIL\n", report->file, name, reason);
    count(report, false);
}
