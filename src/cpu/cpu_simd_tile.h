/* Register tiles for the instruction set that the including file is compiled for.  Level 2. */
#ifndef SVR_CPU_CPU_SIMD_TILE_H
#define SVR_CPU_CPU_SIMD_TILE_H

#include "cpu/cpu_simd.h"

/* Vector width, and rows per tile: as many accumulators as registers allow with a few left over.
 * Wide tiles exist only where there are enough registers; else they are two narrow ones. */
#if defined(__AVX512F__)
enum { VECTOR = 16, MAX_ROWS_16 = 28, MAX_ROWS_32 = 14, ROW_STEP_16 = 4, ROW_STEP_32 = 2 };
#elif defined(__AVX__)
enum { VECTOR = 8, MAX_ROWS_16 = 6, MAX_ROWS_32 = 6, ROW_STEP_16 = 2, ROW_STEP_32 = 2 };
#else
enum { VECTOR = 4, MAX_ROWS_16 = 3, MAX_ROWS_32 = 3, ROW_STEP_16 = 1, ROW_STEP_32 = 1 };
#endif

typedef float vector __attribute__((vector_size(VECTOR * sizeof(float)), aligned(4), may_alias));

/* Checkers judge the tiles as if each were written by hand: loops of constant length over what may
 * be an address, and names that cannot stand in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses,bugprone-implicit-widening-of-multiplication-result) */
/* NOLINTBEGIN(readability-function-size,readability-function-cognitive-complexity) */
/* clang-format off */
/* A loop of constant length that is unrolled in full. */
#if defined(__clang__)
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)
#else
#define EACH(i, count) _Pragma("GCC unroll 32") for (int i = 0; i < (count); i++)
#endif

#define VECTOR_AT(address) (*(vector *) (address))
#define CONST_VECTOR_AT(address) (*(const vector *) (address))

/* A tile of constant size.  Rows go in groups of four behind one pointer, because an address can be
 * a pointer plus 0, 1, 2 or 3 steps but not plus 27. */
#define DEFINE_TILE(NAME, ROWS, VECTORS)                                                           \
    static void NAME(const svr_cpu_tile *t)                                                        \
    {                                                                                              \
        enum { GROUPS = (ROWS + 3) / 4 };                                                          \
        const ptrdiff_t step = t->x_step;                                                          \
        vector acc[ROWS][VECTORS];                                                                 \
        EACH(p, ROWS) { EACH(n, VECTORS) { acc[p][n] = (vector){0}; } }                            \
        for (int r = 0; r < t->runs; r++) {                                                        \
            const float *w = t->w[r];                                                              \
            const float *x[GROUPS];                                                                \
            EACH(g, GROUPS) { x[g] = t->x[r] + 4 * g * step; }                                     \
            for (int i = 0; i < t->length; i++) {                                                  \
                vector row[VECTORS];                                                               \
                EACH(n, VECTORS) { row[n] = CONST_VECTOR_AT(w + n * VECTOR); }                     \
                EACH(p, ROWS) {                                                                    \
                    float value = x[p / 4][(p % 4) * step];                                        \
                    EACH(n, VECTORS) { acc[p][n] += value * row[n]; }                              \
                }                                                                                  \
                w += t->w_step;                                                                    \
                EACH(g, GROUPS) { x[g]++; }                                                        \
            }                                                                                      \
        }                                                                                          \
        if (t->bias) {                                                                             \
            EACH(n, VECTORS) {                                                                     \
                vector bias = CONST_VECTOR_AT(t->bias + n * VECTOR);                               \
                EACH(p, ROWS) { acc[p][n] += bias; }                                               \
            }                                                                                      \
        }                                                                                          \
        if (t->gate) {                                                                             \
            EACH(n, VECTORS) {                                                                     \
                vector gate = CONST_VECTOR_AT(t->gate + n * VECTOR);                               \
                EACH(p, ROWS) { acc[p][n] *= gate; }                                               \
            }                                                                                      \
        }                                                                                          \
        if (t->add) {                                                                              \
            EACH(p, ROWS) {                                                                        \
                const float *add = t->add + p * t->out_step;                                       \
                EACH(n, VECTORS) { acc[p][n] += CONST_VECTOR_AT(add + n * VECTOR); }               \
            }                                                                                      \
        }                                                                                          \
        EACH(p, ROWS) {                                                                            \
            float *out = t->out + p * t->out_step;                                                 \
            EACH(n, VECTORS) { VECTOR_AT(out + n * VECTOR) = acc[p][n]; }                          \
        }                                                                                          \
    }

/* clang-format on */

#if defined(__AVX512F__)
DEFINE_TILE(tile_4x16, 4, 1)
DEFINE_TILE(tile_8x16, 8, 1)
DEFINE_TILE(tile_12x16, 12, 1)
DEFINE_TILE(tile_16x16, 16, 1)
DEFINE_TILE(tile_20x16, 20, 1)
DEFINE_TILE(tile_24x16, 24, 1)
DEFINE_TILE(tile_28x16, 28, 1)
DEFINE_TILE(tile_2x32, 2, 2)
DEFINE_TILE(tile_4x32, 4, 2)
DEFINE_TILE(tile_6x32, 6, 2)
DEFINE_TILE(tile_8x32, 8, 2)
DEFINE_TILE(tile_10x32, 10, 2)
DEFINE_TILE(tile_12x32, 12, 2)
DEFINE_TILE(tile_14x32, 14, 2)

static void tile(const svr_cpu_tile *t)
{
    static void (*const narrow[])(const svr_cpu_tile *) = {
        tile_4x16, tile_8x16, tile_12x16, tile_16x16, tile_20x16, tile_24x16, tile_28x16};
    static void (*const wide[])(const svr_cpu_tile *) = {
        tile_2x32, tile_4x32, tile_6x32, tile_8x32, tile_10x32, tile_12x32, tile_14x32};

    if (t->lanes == 32)
        wide[t->rows / 2 - 1](t);
    else
        narrow[t->rows / 4 - 1](t);
}
#else
#if defined(__AVX__)
DEFINE_TILE(tile_2x16, 2, 16 / VECTOR)
DEFINE_TILE(tile_4x16, 4, 16 / VECTOR)
DEFINE_TILE(tile_6x16, 6, 16 / VECTOR)

static void tile_16(const svr_cpu_tile *t)
{
    static void (*const narrow[])(const svr_cpu_tile *) = {tile_2x16, tile_4x16, tile_6x16};

    narrow[t->rows / 2 - 1](t);
}
#else
DEFINE_TILE(tile_1x16, 1, 16 / VECTOR)
DEFINE_TILE(tile_2x16, 2, 16 / VECTOR)
DEFINE_TILE(tile_3x16, 3, 16 / VECTOR)

static void tile_16(const svr_cpu_tile *t)
{
    static void (*const narrow[])(const svr_cpu_tile *) = {tile_1x16, tile_2x16, tile_3x16};

    narrow[t->rows - 1](t);
}
#endif

enum { MOST_RUNS = 64 };

static void tile(const svr_cpu_tile *t)
{
    const float *w[MOST_RUNS];
    svr_cpu_tile half = *t;

    tile_16(t);
    if (t->lanes == 16)
        return;
    for (int r = 0; r < t->runs; r++)
        w[r] = t->w[r] + 16;
    half.w = w;
    half.out += 16;
    if (half.bias)
        half.bias += 16;
    if (half.gate)
        half.gate += 16;
    if (half.add)
        half.add += 16;
    tile_16(&half);
}
#endif

static int tile_rows(int64_t total, int lanes)
{
    int most = lanes == 32 ? MAX_ROWS_32 : MAX_ROWS_16;
    int step = lanes == 32 ? ROW_STEP_32 : ROW_STEP_16;
    int64_t tiles = (total + most - 1) / most;
    int64_t rows = (total + tiles - 1) / tiles;

    return (int) ((rows + step - 1) / step * step);
}

/* NOLINTEND(readability-function-size,readability-function-cognitive-complexity) */
/* NOLINTEND(bugprone-macro-parentheses,bugprone-implicit-widening-of-multiplication-result) */

#undef DEFINE_TILE
#endif
