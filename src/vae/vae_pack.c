/* Frames in 8 bits, as they may be parked: runs of pixels with scales (svr_quantize_runs_args), all
 * of a frame in one range, so that one copy moves it. */
#include "vae/vae_pack.h"

#include "backend/ops.h"
#include "base/checked.h"

enum { ALIGN_BYTES = 16 };

svr_dtype svr_vae_park_type(const svr_vae_memory *memory, svr_vae_parked what)
{
    return memory->parked_exact & what ? SVR_F32 : memory->parked;
}

vae_packing svr_vae_packing(svr_dtype type, svr_dtype storage, const int64_t dims[4])
{
    vae_packing p = {.type = type,
                     .storage = storage,
                     .width = dims[2],
                     .channels = dims[3],
                     .runs = svr_ceil_div(dims[2], SVR_RUN_PIXELS)};
    size_t scales = (size_t) (dims[1] * p.runs * 2 * p.channels) * svr_dtype_size(storage);

    if (type == SVR_F32)
        return (vae_packing){.type = type};
    p.scales = svr_align_up((size_t) (dims[1] * p.width * p.channels), ALIGN_BYTES);
    p.bytes = svr_align_up(p.scales + scales, ALIGN_BYTES);
    return p;
}

svr_status svr_vae_take_parked(vae_run *run, const vae_packing *p, const int64_t dims[4],
                               int64_t count, svr_tensor *out, svr_error *err)
{
    if (p->type == SVR_F32)
        return svr_exec_alloc(run->exec, run->storage, SVR_DIMS(count, dims[1], dims[2], dims[3]),
                              out, err);
    return svr_exec_alloc(run->exec, SVR_U8, SVR_DIMS(count, (int64_t) p->bytes), out, err);
}

vae_packed svr_vae_packed(const vae_packing *p, const svr_tensor *frame, int64_t first,
                          int64_t rows)
{
    char *data = frame->data;
    size_t before = (size_t) (first * p->runs * 2 * p->channels) * svr_dtype_size(p->storage);

    return (vae_packed){.values = svr_tensor_3d(data + first * p->width * p->channels, p->type,
                                                rows, p->width, p->channels),
                        .scales = svr_tensor_4d(data + p->scales + before, p->storage, rows,
                                                p->runs, 2, p->channels)};
}

/* A frame [1,H,W,C] and its packed form. */
typedef struct frame_pair {
    svr_tensor plain;
    vae_packed packed;
} frame_pair;

static frame_pair pair_of(const vae_packing *p, const svr_tensor *x, const svr_tensor *packed,
                          int64_t index)
{
    svr_tensor frame = svr_tensor_slice(x, index, 1), bytes = svr_tensor_slice(packed, index, 1);
    const int64_t *d = x->dims;

    return (frame_pair){svr_tensor_3d(frame.data, frame.dtype, d[1], d[2], d[3]),
                        svr_vae_packed(p, &bytes, 0, d[1])};
}

svr_status svr_vae_pack(vae_run *run, const vae_packing *p, const svr_tensor *x,
                        const svr_tensor *packed, svr_error *err)
{
    for (int64_t i = 0; i < x->dims[0]; i++) {
        frame_pair f = pair_of(p, x, packed, i);
        svr_quantize_runs_args args = {
            .x = f.plain, .y = f.packed.values, .scales = f.packed.scales};

        SVR_TRY(svr_op_quantize_runs(run->exec, &args, err));
    }
    return SVR_OK;
}

svr_status svr_vae_unpack(vae_run *run, const vae_packing *p, const svr_tensor *packed,
                          const svr_tensor *x, svr_error *err)
{
    for (int64_t i = 0; i < x->dims[0]; i++) {
        frame_pair f = pair_of(p, x, packed, i);
        svr_dequantize_runs_args args = {
            .x = f.packed.values, .scales = f.packed.scales, .y = f.plain};

        SVR_TRY(svr_op_dequantize_runs(run->exec, &args, err));
    }
    return SVR_OK;
}
