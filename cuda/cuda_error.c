#include "cuda_internal.h"

bool svr_cuda_is_fatal(cudaError_t result)
{
    switch (result) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorExternalDevice:
#if CUDART_VERSION >= 13000
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
#endif
        return true;
    default:
        return false;
    }
}

svr_status svr_cuda_check(cudaError_t result, const char *what, svr_error *err)
{
    if (result == cudaSuccess)
        return SVR_OK;
    (void) cudaGetLastError();
    if (result == cudaErrorMemoryAllocation)
        return SVR_FAIL(err, SVR_ERR_NO_VRAM, "%s: out of device memory", what);
    if (svr_cuda_is_fatal(result))
        return SVR_FAIL(err, SVR_ERR_DEVICE,
                        "%s failed, the CUDA context is lost (%s): restart the program", what,
                        cudaGetErrorString(result));
    return SVR_FAIL(err, SVR_ERR_DEVICE, "%s failed: %s", what, cudaGetErrorString(result));
}

svr_status svr_cuda_library_failed(cudaStream_t stream, const char *library, const char *why,
                                   svr_error *err)
{
    cudaError_t state = cudaStreamQuery(stream);

    if (svr_cuda_is_fatal(state))
        return svr_cuda_check(state, library, err);
    (void) cudaGetLastError();
    return SVR_FAIL(err, SVR_ERR_DEVICE, "%s failed: %s", library, why);
}

svr_status svr_cuda_launched(const char *kernel, svr_error *err)
{
    return svr_cuda_check(cudaGetLastError(), kernel, err);
}
