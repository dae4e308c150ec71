#include "base/rng.h"

#include <math.h>

void svr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t p = (uint64_t) 0xD2511F53u * c0;
        uint64_t q = (uint64_t) 0xCD9E8D57u * c2;

        c0 = (uint32_t) (q >> 32) ^ c1 ^ k0;
        c1 = (uint32_t) q;
        c2 = (uint32_t) (p >> 32) ^ c3 ^ k1;
        c3 = (uint32_t) p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void svr_position_noise(uint64_t seed, uint32_t stream, const uint32_t x_y_frame_group[4],
                        float out[4])
{
    const double two_pi = 6.283185307179586476925286766559;
    uint32_t key[2] = {(uint32_t) seed, (uint32_t) (seed >> 32)};
    uint32_t counter[4] = {x_y_frame_group[0], x_y_frame_group[1], x_y_frame_group[2],
                           x_y_frame_group[3] + 256u * stream};
    uint32_t words[4];

    svr_philox4x32(counter, key, words);
    for (int i = 0; i < 4; i += 2) {
        double radius = sqrt(-2.0 * log(((double) words[i] + 0.5) * 0x1p-32));
        double angle = two_pi * (((double) words[i + 1] + 0.5) * 0x1p-32);

        out[i] = (float) (radius * cos(angle));
        out[i + 1] = (float) (radius * sin(angle));
    }
}
