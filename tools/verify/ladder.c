#include "verify/ladder.h"

#include "verify/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void verify_ladder_init(verify_ladder *ladder, verify_ladder_kind kind)
{
    *ladder = (verify_ladder){
        .kind = kind, .plain = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free)};
}

void verify_ladder_finish(verify_ladder *ladder)
{
    g_hash_table_destroy(ladder->plain);
}

void verify_ladder_begin(verify_ladder *ladder, const char *rung)
{
    ladder->rung = rung;
    ladder->least = INFINITY;
    ladder->compared = 0;
}

/* nano's frames lie in [0,1], everything else has no bounds. */
static bool is_picture(const char *file, const char *tensor)
{
    return g_str_has_prefix(file, "nano_") && strcmp(tensor, "out") == 0;
}

static bool is_result(verify_ladder_kind kind, const char *tensor)
{
    if (strcmp(tensor, "out") == 0)
        return true;
    if (kind == VERIFY_LADDER_PARKED)
        return strcmp(tensor, "y") == 0 || strcmp(tensor, "mean") == 0 ||
               g_str_has_suffix(tensor, ".latent");
    return strcmp(tensor, "vid_out_rows") == 0 || g_str_has_suffix(tensor, ".v");
}

static void compare(verify_ladder *ladder, const char *name, const float *got, const float *plain,
                    size_t n, double peak)
{
    double error = 0, squares = 0, psnr;

    for (size_t i = 0; i < n; i++) {
        double d = (double) got[i] - (double) plain[i];

        error += d * d;
        squares += (double) plain[i] * (double) plain[i];
    }
    if (ladder->kind == VERIFY_LADDER_PARKED && error == 0)
        return; /* nothing was parked: a clip of one frame */
    psnr = 10 * log10(peak * peak * (double) n / error);
    /* written so that a NaN stays */
    ladder->least = psnr >= ladder->least ? ladder->least : psnr;
    ladder->compared++;
    printf("%-13s %-40s %6.1f dB, l2 %.1e\n", ladder->rung, name, psnr, sqrt(error / squares));
}

void verify_ladder_take(verify_ladder *ladder, const char *file, const char *tensor,
                        const float *got, size_t n)
{
    g_autofree char *name = g_strconcat(file, "/", tensor, NULL);
    const float *plain = g_hash_table_lookup(ladder->plain, name);

    if (!is_result(ladder->kind, tensor) || n == 0)
        return;
    if (!ladder->rung)
        g_hash_table_insert(ladder->plain, g_steal_pointer(&name),
                            g_memdup2(got, n * sizeof(*got)));
    else if (plain)
        compare(ladder, name, got, plain, n, is_picture(file, tensor) ? 1 : verify_range(plain, n));
}

void verify_ladder_end(const verify_ladder *ladder)
{
    if (ladder->compared > 0)
        printf("%-13s least of %d: %.1f dB\n", ladder->rung, ladder->compared, ladder->least);
    fflush(stdout);
}
