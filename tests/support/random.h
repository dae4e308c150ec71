/* Repeatable random test data.  A generator is a counter and a seed, so data do not depend on
 * order. */
#ifndef SVR_TESTS_RANDOM_H
#define SVR_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct test_random {
    uint64_t state;
} test_random;

test_random test_random_seed(uint64_t seed);

/* Uniform 64 bits; integer in [0, n); float in [lo, hi); about N(0,1). */
uint64_t test_random_u64(test_random *random);
int test_random_below(test_random *random, int n);
float test_random_uniform(test_random *random, float lo, float hi);
float test_random_normal(test_random *random);

/* n values of N(0, scale^2). */
void test_random_fill(test_random *random, float *values, size_t n, float scale);

#endif
