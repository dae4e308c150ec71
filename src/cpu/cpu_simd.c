#include "cpu/cpu_simd.h"

#include "cpu/cpu_simd_levels.h"

#if SVR_CPU_HAVE_X86_LEVELS
static bool runs_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
}

static bool runs_v4(void)
{
    return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

void svr_cpu_simd_usable(const svr_cpu_simd *list[4])
{
    int n = 0;

#if SVR_CPU_HAVE_X86_LEVELS
    if (runs_v4())
        list[n++] = &svr_cpu_simd_x86_64_v4;
    if (runs_v3())
        list[n++] = &svr_cpu_simd_x86_64_v3;
#endif
    list[n++] = &svr_cpu_simd_generic;
    list[n] = NULL;
}
