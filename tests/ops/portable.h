/* The CUDA backend as devices of the lowest supported compute capability run it. */
#ifndef SVR_TESTS_OPS_PORTABLE_H
#define SVR_TESTS_OPS_PORTABLE_H

#include "backend/backend.h"

/* Opens the CUDA module with paths for compute capability 8.0 only, on any device.  The caller owns
 * *out.  Errors: NO_DEVICE (no module, no device), NO_VRAM, DEVICE. */
SVR_CHECKED svr_status portable_backend_open(svr_backend **out, svr_error *err);

#endif
