/* The pixel ops of the CPU backend.  What each computes, shapes and aliasing: backend/ops.h; the
 * checked entries there have looked at the arguments already.
 *
 * All work is split by rows, so results do not depend on the number of threads.  A _workspace
 * function gives the bytes that its op uses; it reads shapes only, never an address.  Level 2.
 * Thread: the one that computes; ops use all threads of the backend. */
#ifndef SVR_CPU_CPU_PIXELS_H
#define SVR_CPU_CPU_PIXELS_H

#include "backend/ops.h"
#include "cpu/cpu_ops.h"

/* integers and sizes */
SVR_CPU_OP(unpack);
SVR_CPU_OP(pack);
SVR_CPU_OP(resize);
SVR_CPU_OP_WORKSPACE(resize);
SVR_CPU_OP(to_model);
SVR_CPU_OP(crop);
SVR_CPU_OP(blur);

/* colour */
SVR_CPU_OP(adain);
SVR_CPU_OP_WORKSPACE(adain);
SVR_CPU_OP(rgb_to_lab);
SVR_CPU_OP(lab_to_rgb);
SVR_CPU_OP(histogram);
SVR_CPU_OP_WORKSPACE(histogram);
SVR_CPU_OP(match_histogram);
SVR_CPU_OP_WORKSPACE(match_histogram);
SVR_CPU_OP(match_ranks);
SVR_CPU_OP_WORKSPACE(match_ranks);
SVR_CPU_OP(hsv);
SVR_CPU_OP_WORKSPACE(hsv);
SVR_CPU_OP(saturation_mix);

/* transparency */
SVR_CPU_OP(alpha_guide);
SVR_CPU_OP_WORKSPACE(alpha_guide);

#endif
