/* base/hash against values of the reference implementation (xxhash 0.8). */
#include "base/hash.h"

#include "check.h"

#include <string.h>

static void test_known_answers(void)
{
    static const char text[] = "Nobody inspects the spammish repetition";
    uint8_t bytes[1001];

    for (int i = 0; i < 1001; i++)
        bytes[i] = (uint8_t) (7 * i + 3);
    CHECK(svr_hash64("", 0, 0) == 0xef46db3751d8e999u);
    CHECK(svr_hash64("", 0, 1) == 0xd5afba1336a3be4bu);
    CHECK(svr_hash64("a", 1, 0) == 0xd24ec4f1a98c6e5bu);
    CHECK(svr_hash64("abc", 3, 0) == 0x44bc2cf5ad770999u);
    CHECK(svr_hash64(text, strlen(text), 0) == 0xfbcea83c8a378bf1u);
    CHECK(svr_hash64(bytes, 32, 0) == 0x23c3c17ef790fd97u);
    CHECK(svr_hash64(bytes, 45, (1ull << 63) + 5) == 0xe1de136d3b6b7435u);
    CHECK(svr_hash64(bytes, 1000, 0) == 0x5f235fa033f1a3fbu);
    CHECK(svr_hash64(bytes, 1000, 42) == 0xd776e8028586ff61u);
    /* the same at an odd address */
    memmove(bytes + 1, bytes, 1000);
    CHECK(svr_hash64(bytes + 1, 1000, 42) == 0xd776e8028586ff61u);
}

int main(void)
{
    RUN(test_known_answers);
    return check_done();
}
