#include "cpu/cpu_backend.h"

#include "base/checked.h"
#include "cpu/cpu_internal.h"
#include "cpu/cpu_ops.h"
#include "cpu/cpu_pixels.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_ALIGN = 256 };

static void destroy(svr_backend *backend)
{
    svr_cpu_pool_destroy(((svr_cpu_backend *) backend)->pool);
    free(backend);
}

static svr_status alloc_memory(svr_backend *backend, size_t bytes, void **out, svr_error *err)
{
    svr_cpu_backend *cpu = (svr_cpu_backend *) backend;
    uint64_t limit = cpu->options.memory_limit_bytes;
    uint64_t live = backend->use.live_total;
    void *memory;

    cpu->attempts++;
    if (cpu->options.fail_allocation == cpu->attempts)
        return SVR_FAIL(err, SVR_ERR_NO_MEM,
                        "allocation %" PRIu64 " of %zu bytes fails on request (fail_allocation)",
                        cpu->attempts, bytes);
    if (limit != 0 && (live > limit || bytes > limit - live))
        return SVR_FAIL(err, SVR_ERR_NO_MEM,
                        "%zu bytes do not fit: %" PRIu64 " of at most %" PRIu64
                        " bytes are in use; raise the memory limit, or use smaller frames or tiles",
                        bytes, live, limit);
    memory = aligned_alloc(MEMORY_ALIGN, svr_align_up(bytes, MEMORY_ALIGN));
    if (!memory)
        return SVR_FAIL(err, SVR_ERR_NO_MEM,
                        "the system has no %zu bytes of memory left; use smaller frames or tiles",
                        bytes);
    *out = memory;
    return SVR_OK;
}

static void free_memory(svr_backend *backend, void *address)
{
    (void) backend;
    free(address);
}

static svr_status transfer(svr_backend *backend, void *dst, const void *src, size_t bytes,
                           svr_error *err)
{
    (void) backend;
    (void) err;
    memcpy(dst, src, bytes);
    return SVR_OK;
}

/* The store rounds values to the storage type; keeping the result as F32 saves every op a
 * conversion. */
static svr_dtype weight_dtype(const svr_backend *backend, svr_dtype storage)
{
    (void) backend;
    (void) storage;
    return SVR_F32;
}

svr_status svr_cpu_check_weights(const svr_tensor *w, svr_error *err)
{
    if (w->dtype == SVR_F32)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                    "the CPU backend takes weights as f32, not %s; keep them in its weight_dtype",
                    svr_dtype_name(w->dtype));
}

static const svr_backend_vtable vtable = {
    .destroy = destroy,
    .alloc = alloc_memory,
    .free = free_memory,
    .upload = transfer,
    .download = transfer,
    .weight_dtype = weight_dtype,
};

#define OP(name) .name = svr_cpu_##name
#define OP_WITH_WORKSPACE(name) OP(name), .name##_workspace = svr_cpu_##name##_workspace

static const svr_ops ops = {
    OP_WITH_WORKSPACE(conv3d),
    OP(tap_sum),
    OP_WITH_WORKSPACE(upsample_conv3d),
    OP_WITH_WORKSPACE(group_norm),
    OP_WITH_WORKSPACE(group_moments),
    OP(depth_to_space),
    OP_WITH_WORKSPACE(frame_attention),
    OP(copy),
    OP(copy_rows),
    OP(copy_window),
    OP(lincomb),
    OP(find_overflow),
    OP_WITH_WORKSPACE(quantize),
    OP_WITH_WORKSPACE(quantize_runs),
    OP_WITH_WORKSPACE(dequantize_runs),
    OP_WITH_WORKSPACE(dequantize),
    OP_WITH_WORKSPACE(linear),
    OP_WITH_WORKSPACE(swiglu),
    OP_WITH_WORKSPACE(rms_norm),
    OP(patchify),
    OP(unpatchify),
    OP_WITH_WORKSPACE(qk_norm_rope),
    OP_WITH_WORKSPACE(window_attention),
    OP_WITH_WORKSPACE(guidance),
    OP(noise),
    OP(unpack),
    OP(pack),
    OP_WITH_WORKSPACE(resize),
    OP(to_model),
    OP(crop),
    OP(blur),
    OP_WITH_WORKSPACE(adain),
    OP(rgb_to_lab),
    OP(lab_to_rgb),
    OP_WITH_WORKSPACE(histogram),
    OP_WITH_WORKSPACE(match_histogram),
    OP_WITH_WORKSPACE(match_ranks),
    OP_WITH_WORKSPACE(hsv),
    OP(saturation_mix),
    OP_WITH_WORKSPACE(alpha_guide),
};

/* The loops for the wanted instruction set; NULL when there are none. */
static const svr_cpu_simd *choose_loops(const char *instructions)
{
    const svr_cpu_simd *usable[4];

    svr_cpu_simd_usable(usable);
    if (!instructions)
        return usable[0];
    for (int i = 0; usable[i]; i++)
        if (strcmp(usable[i]->name, instructions) == 0)
            return usable[i];
    return NULL;
}

svr_status svr_cpu_backend_create(const svr_cpu_options *options, svr_backend **out, svr_error *err)
{
    static const svr_cpu_options defaults;
    const svr_cpu_options *wanted = options ? options : &defaults;
    const svr_cpu_simd *simd = choose_loops(wanted->instructions);
    svr_cpu_backend *cpu;

    if (!simd)
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "this machine or build cannot run instruction set \"%s\"; leave the option"
                        " out to use the best there is",
                        wanted->instructions);
    cpu = calloc(1, sizeof *cpu);
    if (!cpu)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the CPU backend");
    cpu->base = (svr_backend){.vtable = &vtable, .ops = &ops, .name = "cpu"};
    cpu->options = *wanted;
    cpu->simd = simd;
    cpu->pool = svr_cpu_pool_create(wanted->threads > 0 ? wanted->threads : svr_cpu_processors());
    if (!cpu->pool) {
        free(cpu);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the threads of the CPU backend");
    }
    cpu->threads = svr_cpu_pool_threads(cpu->pool);
    *out = &cpu->base;
    return SVR_OK;
}
