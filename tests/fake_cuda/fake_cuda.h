/* A CUDA module and a driver library without a GPU, found before the real ones by LD_LIBRARY_PATH:
 * how devices and contexts are chosen, shared, given back and lost is tested anywhere.  The module
 * computes on the CPU; the driver satisfies libgstcuda, and gives it memory at addresses of
 * support/shared_memory.h. */
#ifndef SVR_TESTS_FAKE_CUDA_H
#define SVR_TESTS_FAKE_CUDA_H

#include "backend/cuda_options.h"

#include <stdbool.h>

enum { FAKE_CUDA_DEVICES = 2 };

typedef struct fake_cuda {
    int devices;                     /* how many there are; default FAKE_CUDA_DEVICES */
    int searches;                    /* calls of svr_cuda_find_device() */
    int retained[FAKE_CUDA_DEVICES]; /* holders of primary contexts */
    char primary[FAKE_CUDA_DEVICES]; /* their addresses are the contexts */
    bool broken;  /* every call fails with DEVICE, as after a fault; for good, unless a test ends it
                   */
    bool refuses; /* no backend can be opened, for want of a device that is good enough */
    int opened;   /* backends */
    /* frames copied out of device memory that the driver gave to others, and into it, since a
     * backend was opened; as of fake_cuda_get() */
    int frames_read, frames_written;
    svr_cuda_options options; /* of the last one */
} fake_cuda;

/* The loaded module's; fails the test when the module is another one. */
fake_cuda *fake_cuda_get(void);

#endif
