/* libcuda.so.1 without a GPU: every function that libgstcuda looks for, and succeeds with, see
 * fake_cuda.h.  Device memory is host memory at the addresses of shared_memory.h. */
#include "shared_memory.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define FUNCTIONS(X)                                                                               \
    X(cuInit)                                                                                      \
    X(cuCtxCreate_v2)                                                                              \
    X(cuCtxDestroy_v2)                                                                             \
    X(cuCtxDisablePeerAccess)                                                                      \
    X(cuCtxEnablePeerAccess)                                                                       \
    X(cuCtxPopCurrent_v2)                                                                          \
    X(cuCtxPushCurrent_v2)                                                                         \
    X(cuDeviceGet)                                                                                 \
    X(cuDeviceGetName)                                                                             \
    X(cuGLGetDevices_v2)                                                                           \
    X(cuGraphicsGLRegisterBuffer)                                                                  \
    X(cuGraphicsGLRegisterImage)                                                                   \
    X(cuGraphicsMapResources)                                                                      \
    X(cuGraphicsResourceGetMappedPointer_v2)                                                       \
    X(cuGraphicsResourceSetMapFlags_v2)                                                            \
    X(cuGraphicsSubResourceGetMappedArray)                                                         \
    X(cuGraphicsUnmapResources)                                                                    \
    X(cuGraphicsUnregisterResource)                                                                \
    X(cuLaunchKernel)                                                                              \
    X(cuModuleGetFunction)                                                                         \
    X(cuModuleLoadData)                                                                            \
    X(cuModuleUnload)                                                                              \
    X(cuStreamCreate)                                                                              \
    X(cuStreamDestroy_v2)                                                                          \
    X(cuStreamDestroy)                                                                             \
    X(cuStreamSynchronize)                                                                         \
    X(cuTexObjectCreate)                                                                           \
    X(cuTexObjectDestroy)

#define FUNCTION(name)                                                                             \
    EXPORT int name(void);                                                                         \
    int name(void)                                                                                 \
    {                                                                                              \
        return 0;                                                                                  \
    }
FUNCTIONS(FUNCTION)

/* those that answer */
EXPORT int cuDriverGetVersion(int *version);
EXPORT int cuDeviceGetCount(int *count);
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device);
EXPORT int cuDeviceCanAccessPeer(int *can, int device, int peer);
EXPORT int cuGetErrorName(int error, const char **text);
EXPORT int cuGetErrorString(int error, const char **text);

int cuDriverGetVersion(int *version)
{
    *version = 13000;
    return 0;
}

int cuDeviceGetCount(int *count)
{
    *count = 2;
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    (void) attribute, (void) device;
    *value = 512;
    return 0;
}

int cuDeviceCanAccessPeer(int *can, int device, int peer)
{
    (void) device, (void) peer;
    *can = 0;
    return 0;
}

int cuGetErrorName(int error, const char **text)
{
    (void) error;
    *text = "FAKE";
    return 0;
}

int cuGetErrorString(int error, const char **text)
{
    (void) error;
    *text = "fake";
    return 0;
}

/* ------------------------------------------------------------------ memory */

/* Rows are padded, as a driver does it. */
enum { PITCH = 512, SUCCESS = 0, OUT_OF_MEMORY = 2, ON_DEVICE = 2 };

typedef unsigned long long address;

/* CUDA_MEMCPY2D_v2 of the driver's interface. */
typedef struct side {
    size_t x, y;
    int type;
    void *host;
    address device;
    void *array;
    size_t pitch;
} side;

typedef struct copy_2d {
    side src, dst;
    size_t width, height;
} copy_2d;

EXPORT int cuMemAlloc_v2(address *out, size_t bytes);
EXPORT int cuMemAllocPitch_v2(address *out, size_t *pitch, size_t width, size_t height,
                              unsigned element);
EXPORT int cuMemFree_v2(address memory);
EXPORT int cuMemAllocHost_v2(void **out, size_t bytes);
EXPORT int cuMemFreeHost(void *memory);
EXPORT int cuMemcpy2D_v2(const copy_2d *copy);
EXPORT int cuMemcpy2DAsync_v2(const copy_2d *copy, void *stream);

static uint8_t *to_host(address memory)
{
    return shared_memory_host(
        (uint8_t *) (uintptr_t) memory); /* NOLINT(performance-no-int-to-ptr) */
}

int cuMemAlloc_v2(address *out, size_t bytes)
{
    void *host = aligned_alloc(PITCH, (bytes + PITCH - 1) / PITCH * PITCH);

    if (!host)
        return OUT_OF_MEMORY;
    *out = (uintptr_t) shared_memory_address(host);
    return SUCCESS;
}

int cuMemAllocPitch_v2(address *out, size_t *pitch, size_t width, size_t height, unsigned element)
{
    (void) element;
    *pitch = (width + PITCH - 1) / PITCH * PITCH;
    return cuMemAlloc_v2(out, *pitch * height);
}

int cuMemFree_v2(address memory)
{
    free(to_host(memory));
    return SUCCESS;
}

int cuMemAllocHost_v2(void **out, size_t bytes)
{
    *out = malloc(bytes);
    return *out ? SUCCESS : OUT_OF_MEMORY;
}

int cuMemFreeHost(void *memory)
{
    free(memory);
    return SUCCESS;
}

static uint8_t *rows_of(const side *of)
{
    uint8_t *base = of->type == ON_DEVICE ? to_host(of->device) : of->host;

    return base + of->y * of->pitch + of->x;
}

int cuMemcpy2D_v2(const copy_2d *copy)
{
    uint8_t *dst = rows_of(&copy->dst), *src = rows_of(&copy->src);

    for (size_t y = 0; y < copy->height; y++)
        memcpy(dst + y * copy->dst.pitch, src + y * copy->src.pitch, copy->width);
    return SUCCESS;
}

int cuMemcpy2DAsync_v2(const copy_2d *copy, void *stream)
{
    (void) stream;
    return cuMemcpy2D_v2(copy);
}
