/* The tables that cpu_simd_loops.c becomes; which exist is decided by the build.  Level 2. */
#ifndef SVR_CPU_CPU_SIMD_LEVELS_H
#define SVR_CPU_CPU_SIMD_LEVELS_H

#include "cpu/cpu_simd.h"

extern const svr_cpu_simd svr_cpu_simd_generic;
extern const svr_cpu_simd svr_cpu_simd_x86_64_v3; /* AVX2, FMA, F16C */
extern const svr_cpu_simd svr_cpu_simd_x86_64_v4; /* AVX-512 F, BW, CD, DQ, VL */

#endif
