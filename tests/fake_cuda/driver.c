/* libcuda.so.1 without a GPU: every function that libgstcuda looks for, and succeeds with, see
 * fake_cuda.h. */
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
    X(cuMemAllocHost_v2)                                                                           \
    X(cuMemAllocPitch_v2)                                                                          \
    X(cuMemAlloc_v2)                                                                               \
    X(cuMemFreeHost)                                                                               \
    X(cuMemFree_v2)                                                                                \
    X(cuMemcpy2DAsync_v2)                                                                          \
    X(cuMemcpy2D_v2)                                                                               \
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
