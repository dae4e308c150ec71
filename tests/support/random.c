#include "random.h"

#include <math.h>

test_random test_random_seed(uint64_t seed)
{
    return (test_random){seed * 0x9E3779B97F4A7C15u + 1};
}

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t test_random_u64(test_random *random)
{
    uint64_t z = random->state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int test_random_below(test_random *random, int n)
{
    return (int) (test_random_u64(random) % (uint64_t) n);
}

float test_random_uniform(test_random *random, float lo, float hi)
{
    double u = (double) (test_random_u64(random) >> 11) * 0x1p-53;

    return (float) (lo + (hi - lo) * u);
}

float test_random_normal(test_random *random)
{
    double u1 = ((double) (test_random_u64(random) >> 11) + 0.5) * 0x1p-53;
    double u2 = (double) (test_random_u64(random) >> 11) * 0x1p-53;

    return (float) (sqrt(-2.0 * log(u1)) * cos(6.283185307179586 * u2));
}

void test_random_fill(test_random *random, float *values, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++)
        values[i] = scale * test_random_normal(random);
}
