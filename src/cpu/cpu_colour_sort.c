#include "cpu/cpu_colour_sort.h"

#include <string.h>

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES = 3 };

size_t svr_rank_buffers_bytes(int64_t n_source, int64_t n_reference)
{
    return 2 * (size_t) n_source * sizeof(svr_ranked) + 2 * (size_t) n_reference * sizeof(uint32_t);
}

svr_rank_buffers svr_rank_buffers_at(void *memory, int64_t n_source, int64_t n_reference)
{
    svr_rank_buffers buffers = {.a = memory};

    buffers.b = buffers.a + n_source;
    buffers.ref = (uint32_t *) (void *) (buffers.b + n_source);
    buffers.ref_spare = buffers.ref + n_reference;
    return buffers;
}

uint32_t svr_rank_key(float value)
{
    uint32_t bits;

    value += 0.0f; /* -0 becomes +0 */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key & 0x7FFFFFFFu : ~key;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t digit(uint32_t key, int pass)
{
    return (key >> (pass * DIGIT_BITS)) & (DIGITS - 1);
}

/* Counts of each digit to the first place of each. */
static void counts_to_places(int64_t *counts)
{
    int64_t place = 0;

    for (int d = 0; d < DIGITS; d++) {
        int64_t count = counts[d];

        counts[d] = place;
        place += count;
    }
}

static void sort_source(svr_rank_buffers *buffers, int64_t n)
{
    for (int pass = 0; pass < PASSES; pass++) {
        int64_t places[DIGITS] = {0};
        svr_ranked *from = buffers->a, *to = buffers->b;

        for (int64_t i = 0; i < n; i++)
            places[digit(from[i].key, pass)]++;
        counts_to_places(places);
        for (int64_t i = 0; i < n; i++)
            to[places[digit(from[i].key, pass)]++] = from[i];
        buffers->a = to;
        buffers->b = from;
    }
}

static void sort_reference(svr_rank_buffers *buffers, int64_t n)
{
    for (int pass = 0; pass < PASSES; pass++) {
        int64_t places[DIGITS] = {0};
        uint32_t *from = buffers->ref, *to = buffers->ref_spare;

        for (int64_t i = 0; i < n; i++)
            places[digit(from[i], pass)]++;
        counts_to_places(places);
        for (int64_t i = 0; i < n; i++)
            to[places[digit(from[i], pass)]++] = from[i];
        buffers->ref = to;
        buffers->ref_spare = from;
    }
}

/* In single precision like the reference, whose truncation depends on it. */
static int64_t reference_rank(int64_t k, int64_t n_source, int64_t n_reference)
{
    float step, quantile;
    int64_t rank;

    if (n_source == n_reference)
        return k;
    if (n_source == 1)
        return 0;
    step = 1.0f / (float) (n_source - 1);
    quantile = k < n_source / 2 ? step * (float) k : 1.0f - step * (float) (n_source - 1 - k);
    rank = (int64_t) (quantile * (float) (n_reference - 1));
    return rank < n_reference ? rank : n_reference - 1;
}

void svr_rank_match(svr_rank_buffers *buffers, int64_t n_source, int64_t n_reference, float *out,
                    int64_t out_step)
{
    sort_source(buffers, n_source);
    sort_reference(buffers, n_reference);
    for (int64_t k = 0; k < n_source; k++)
        out[buffers->a[k].place * out_step] =
            value_of(buffers->ref[reference_rank(k, n_source, n_reference)]);
}
