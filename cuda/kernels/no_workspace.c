/* The ops that need no workspace. */
#include "cuda_internal.h"

#define NO_WORKSPACE(name)                                                                         \
    size_t svr_cuda_##name##_workspace(svr_backend *backend, const svr_##name##_args *args)        \
    {                                                                                              \
        (void) backend;                                                                            \
        (void) args;                                                                               \
        return 0;                                                                                  \
    }

/* general and networks */
NO_WORKSPACE(depth_to_space)
NO_WORKSPACE(tap_sum)
NO_WORKSPACE(copy)
NO_WORKSPACE(copy_rows)
NO_WORKSPACE(copy_window)
NO_WORKSPACE(lincomb)
NO_WORKSPACE(find_overflow)
NO_WORKSPACE(quantize)
NO_WORKSPACE(quantize_runs)
NO_WORKSPACE(dequantize_runs)
NO_WORKSPACE(dequantize)
NO_WORKSPACE(rms_norm)
NO_WORKSPACE(patchify)
NO_WORKSPACE(unpatchify)
NO_WORKSPACE(qk_norm_rope)
NO_WORKSPACE(guidance)
NO_WORKSPACE(noise)

/* pixels */
NO_WORKSPACE(unpack)
NO_WORKSPACE(pack)
NO_WORKSPACE(to_model)
NO_WORKSPACE(crop)
NO_WORKSPACE(blur)
NO_WORKSPACE(rgb_to_lab)
NO_WORKSPACE(lab_to_rgb)
NO_WORKSPACE(histogram)
NO_WORKSPACE(saturation_mix)
