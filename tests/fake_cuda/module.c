/* libseedvr2-cuda.so without CUDA, see fake_cuda.h. */
#include "cpu/cpu_backend.h"
#include "fake_cuda.h"
#include "shared_memory.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT svr_cuda_create_fn svr_cuda_backend_create;
EXPORT svr_cuda_find_device_fn svr_cuda_find_device;
EXPORT svr_cuda_retain_primary_fn svr_cuda_retain_primary;
EXPORT svr_cuda_release_primary_fn svr_cuda_release_primary;
EXPORT fake_cuda *fake_cuda_state(void);

static fake_cuda state = {.devices = FAKE_CUDA_DEVICES};
static svr_backend_vtable breakable;
static const svr_backend_vtable *whole;

fake_cuda *fake_cuda_state(void)
{
    state.frames_read = shared_memory_read();
    state.frames_written = shared_memory_written();
    return &state;
}

static svr_status check_gpu(svr_error *err)
{
    if (__atomic_load_n(&state.broken, __ATOMIC_SEQ_CST))
        return SVR_FAIL(err, SVR_ERR_DEVICE, "the fake GPU failed: restart the program");
    return SVR_OK;
}

static svr_status upload(svr_backend *backend, void *dst, const void *src, size_t bytes,
                         svr_error *err)
{
    SVR_TRY(check_gpu(err));
    return whole->upload(backend, dst, src, bytes, err);
}

static svr_status copy_frame(svr_backend *backend, const svr_video_info *info, const svr_frame *dst,
                             const svr_frame *src, svr_error *err)
{
    SVR_TRY(check_gpu(err));
    return whole->copy_frame(backend, info, dst, src, err);
}

svr_status svr_cuda_backend_create(const svr_cuda_options *options, const svr_log *log,
                                   svr_backend **out, svr_error *err)
{
    (void) log;
    if (options)
        state.options = *options;
    if (state.devices == 0 || state.refuses)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "no fake GPU: set backend=cpu");
    SVR_TRY(check_gpu(err));
    SVR_TRY(svr_cpu_backend_create(NULL, out, err));
    shared_memory_install(*out);
    whole = (*out)->vtable;
    breakable = *whole;
    breakable.upload = upload;
    breakable.copy_frame = copy_frame;
    (*out)->vtable = &breakable;
    (*out)->name = "cuda";
    state.opened++;
    return SVR_OK;
}

svr_status svr_cuda_find_device(int device, int *found, svr_error *err)
{
    state.searches++;
    if (device >= state.devices || state.devices == 0)
        return SVR_FAIL(err, SVR_ERR_NO_DEVICE, "no fake GPU %d: set backend=cpu", device);
    *found = device < 0 ? 0 : device;
    return SVR_OK;
}

svr_status svr_cuda_retain_primary(int device, void **context, svr_error *err)
{
    SVR_TRY(check_gpu(err));
    state.retained[device]++;
    *context = &state.primary[device];
    return SVR_OK;
}

void svr_cuda_release_primary(int device)
{
    state.retained[device]--;
}
