/* base/checked and base/arena: size arithmetic at its limits, zeroed and aligned memory. */
#include "base/arena.h"
#include "base/checked.h"

#include "check.h"
#include "random.h"

#include <string.h>

static void test_mul_size(void)
{
    size_t out = 7;

    CHECK(svr_mul_size(6, 7, &out) && out == 42);
    CHECK(svr_mul_size(SIZE_MAX, 0, &out) && out == 0);
    CHECK(svr_mul_size(0, SIZE_MAX, &out) && out == 0);
    CHECK(svr_mul_size(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    out = 7;
    CHECK(!svr_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    CHECK(!svr_mul_size((size_t) 1 << 32, (size_t) 1 << 32, &out));
    CHECK(out == 7);
}

static void test_add_size(void)
{
    size_t out = 7;

    CHECK(svr_add_size(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX);
    out = 7;
    CHECK(!svr_add_size(SIZE_MAX, 1, &out) && out == 7);
}

static void test_align_up(void)
{
    CHECK(svr_align_up(0, 256) == 0);
    CHECK(svr_align_up(1, 256) == 256);
    CHECK(svr_align_up(256, 256) == 256);
    CHECK(svr_align_up(257, 256) == 512);
    CHECK(svr_align_up(SIZE_MAX - 255, 256) == SIZE_MAX - 255);
    CHECK(svr_align_up(SIZE_MAX - 254, 256) == SIZE_MAX);
}

static void test_small_integers(void)
{
    CHECK(svr_ceil_div(0, 4) == 0 && svr_ceil_div(1, 4) == 1);
    CHECK(svr_ceil_div(4, 4) == 1 && svr_ceil_div(5, 4) == 2);
    CHECK(svr_min_i64(-3, 2) == -3 && svr_max_i64(-3, 2) == 2);
}

/* Every block is aligned, zero, and not shared with any other block. */
static void test_arena_blocks(void)
{
    enum { BLOCKS = 2000 };
    static unsigned char *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    svr_arena *arena = svr_arena_create();
    test_random random = test_random_seed(1);

    CHECK(arena != NULL);
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = (size_t) test_random_below(&random, i % 100 == 0 ? 200000 : 300);
        blocks[i] = svr_arena_alloc(arena, sizes[i], 1);
        CHECK(blocks[i] != NULL && (uintptr_t) blocks[i] % 16 == 0);
        for (size_t b = 0; b < sizes[i]; b++)
            CHECK(blocks[i][b] == 0);
        memset(blocks[i], i % 251 + 1, sizes[i]);
    }
    for (int i = 0; i < BLOCKS; i++)
        for (size_t b = 0; b < sizes[i]; b++)
            CHECK(blocks[i][b] == i % 251 + 1);
    svr_arena_destroy(arena);
    svr_arena_destroy(NULL);
}

static void test_arena_limits(void)
{
    svr_arena *arena = svr_arena_create();

    CHECK(svr_arena_alloc(arena, SIZE_MAX, 2) == NULL);
    CHECK(svr_arena_alloc(arena, SIZE_MAX, 1) == NULL);
    CHECK(svr_arena_alloc(arena, SIZE_MAX - 64, 1) == NULL);
    CHECK(svr_arena_strndup(arena, "abc", SIZE_MAX) == NULL);
    CHECK(svr_arena_alloc(arena, 0, 8) != NULL);
    CHECK(svr_arena_alloc(arena, 0, 8) != svr_arena_alloc(arena, 0, 8));
    CHECK(strcmp(svr_arena_strndup(arena, "abcdef", 3), "abc") == 0);
    CHECK(strcmp(svr_arena_strndup(arena, "", 0), "") == 0);
    svr_arena_destroy(arena);
}

int main(void)
{
    RUN(test_mul_size);
    RUN(test_add_size);
    RUN(test_align_up);
    RUN(test_small_integers);
    RUN(test_arena_blocks);
    RUN(test_arena_limits);
    return check_done();
}
