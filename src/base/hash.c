#include "base/hash.h"

#include <string.h>

enum { LANES = 4, STRIPE = LANES * sizeof(uint64_t) };

static const uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu,
                      prime3 = 0x165667B19E3779F9u, prime4 = 0x85EBCA77C2B2AE63u,
                      prime5 = 0x27D4EB2F165667C5u;

static uint64_t rotate(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t mix(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * prime2, 31) * prime1;
}

/* Whole stripes; moves *p behind them. */
static uint64_t hash_stripes(const uint8_t **p, const uint8_t *end, uint64_t seed)
{
    uint64_t lane[LANES] = {seed + prime1 + prime2, seed + prime2, seed, seed - prime1}, hash;

    for (; end - *p >= STRIPE; *p += STRIPE)
        for (size_t i = 0; i < LANES; i++)
            lane[i] = mix(lane[i], load64(*p + 8 * i));
    hash = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
    for (int i = 0; i < LANES; i++)
        hash = (hash ^ mix(0, lane[i])) * prime1 + prime4;
    return hash;
}

/* What is left of the last stripe. */
static uint64_t hash_rest(const uint8_t *p, const uint8_t *end, uint64_t hash)
{
    for (; end - p >= 8; p += 8)
        hash = rotate(hash ^ mix(0, load64(p)), 27) * prime1 + prime4;
    for (; end - p >= 4; p += 4)
        hash = rotate(hash ^ load32(p) * prime1, 23) * prime2 + prime3;
    for (; p < end; p++)
        hash = rotate(hash ^ *p * prime5, 11) * prime1;
    return hash;
}

uint64_t svr_hash64(const void *data, size_t bytes, uint64_t seed)
{
    const uint8_t *p = data, *end = p + bytes;
    uint64_t hash = bytes >= STRIPE ? hash_stripes(&p, end, seed) : seed + prime5;

    hash = hash_rest(p, end, hash + bytes);
    hash = (hash ^ hash >> 33) * prime2;
    hash = (hash ^ hash >> 29) * prime3;
    return hash ^ hash >> 32;
}
