/* Windows of frames that lie in host memory. */
#include "vae/vae_shared.h"

/* Where the window of frame t of whole frames or of tiles starts, at a corner. */
static char *window_at(const svr_tensor *x, const int64_t corner[2], int64_t t)
{
    int64_t pixel = (t * x->dims[1] + corner[0]) * x->dims[2] + corner[1];

    return (char *) x->data + (size_t) (pixel * x->dims[3]) * svr_dtype_size(x->dtype);
}

svr_status svr_vae_copy_window(vae_run *run, const svr_copy_window_args *w, svr_queue queue,
                               svr_error *err)
{
    svr_backend *backend = run->exec->backend;
    size_t pixel = (size_t) w->x.dims[3] * svr_dtype_size(w->x.dtype);
    svr_row_copy rows = {.bytes = (size_t) w->size[1] * pixel,
                         .rows = (size_t) w->size[0],
                         .src_step = (size_t) w->x.dims[2] * pixel,
                         .dst_step = (size_t) w->y.dims[2] * pixel};
    svr_mark done;

    SVR_TRY(svr_backend_order(backend, SVR_QUEUE_COMPUTE, queue, err));
    for (int64_t t = 0; t < w->x.dims[0]; t++) {
        rows.src = window_at(&w->x, w->from, t);
        rows.dst = window_at(&w->y, w->to, t);
        SVR_TRY(svr_backend_copy_rows(backend, queue, &rows, err));
    }
    SVR_TRY(svr_backend_mark(backend, queue, &done, err));
    return svr_backend_follow(backend, SVR_QUEUE_COMPUTE, done, err);
}
