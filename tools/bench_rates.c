#include "bench_rates.h"

#include "backend/ops.h"
#include "bench_profile.h"

#include <glib.h>
#include <string.h>

enum {
    FIRST_GEMM = 512,
    MOST_GEMM = 8192,
    FIRST_COPY = 16 << 20,
    MOST_COPY = 1 << 30,
    TRANSFER = 256 << 20,
    CALLS = 10,      /* issued together when one is short */
    MOST_GROUPS = 64 /* of calls, of which the median counts */
};

/* Sizes double until a call takes this long, so that a CPU is done in seconds as well. */
#define LONG_NS 10000000u
#define MEASURE_NS 300000000u

/* One block of memory and the exec that hands it out; zero or owned. */
typedef struct bench_room {
    svr_exec exec;
    void *block;
    size_t bytes;
} bench_room;

static svr_status room_open(bench_room *room, svr_backend *backend, size_t bytes, svr_error *err)
{
    *room = (bench_room){.exec = {.backend = backend}};
    SVR_TRY(svr_backend_alloc(backend, SVR_MEM_SCRATCH, bytes, &room->block, err));
    room->bytes = bytes;
    room->exec.scratch = svr_scratch_create(room->block, bytes);
    return room->exec.scratch ? SVR_OK
                              : SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory to measure rates");
}

static void room_close(bench_room *room)
{
    svr_scratch_destroy(room->exec.scratch);
    svr_backend_free(room->exec.backend, SVR_MEM_SCRATCH, room->bytes, room->block);
}

/* [rows,columns] of N(0,1). */
static svr_status random_matrix(bench_room *room, svr_dtype dtype, int64_t rows, int64_t columns,
                                svr_tensor *out, svr_error *err)
{
    svr_noise_args noise = {.seed = 1, .stream = (uint32_t) svr_scratch_live(room->exec.scratch)};

    SVR_TRY(svr_exec_alloc(&room->exec, dtype, SVR_DIMS(rows, columns), out, err));
    noise.y = svr_tensor_4d(out->data, dtype, 1, rows, columns / 4, 4);
    return svr_op_noise(&room->exec, &noise, err);
}

/* ------------------------------------------------------------------ clocks */

/* Something to time, on a room. */
typedef svr_status (*bench_work)(void *user, svr_error *err);

static svr_status time_calls(svr_backend *backend, bench_work work, void *user, int calls,
                             uint64_t *ns, svr_error *err)
{
    uint64_t begin;

    SVR_TRY(svr_backend_synchronize(backend, err));
    begin = bench_now_ns();
    for (int i = 0; i < calls; i++)
        SVR_TRY(work(user, err));
    SVR_TRY(svr_backend_synchronize(backend, err));
    *ns = bench_now_ns() - begin;
    return SVR_OK;
}

/* Seconds of a call: the median over groups of calls, `once` being what a first call took. */
static svr_status time_steadily(svr_backend *backend, bench_work work, void *user, uint64_t once,
                                double *seconds, svr_error *err)
{
    int calls = once < LONG_NS ? CALLS : 1, groups = 0;
    double samples[MOST_GROUPS];
    uint64_t spent = 0, ns;

    while (groups < 3 || (groups < MOST_GROUPS && spent < MEASURE_NS)) {
        SVR_TRY(time_calls(backend, work, user, calls, &ns, err));
        samples[groups++] = (double) ns / calls / 1e9;
        spent += ns;
    }
    *seconds = bench_median(samples, groups);
    return SVR_OK;
}

/* Whether the size that took `ns` is large enough; if so, measures it. */
static svr_status settle(svr_backend *backend, bench_work work, void *user, bool largest,
                         double *seconds, svr_error *err)
{
    uint64_t ns;

    *seconds = 0;
    SVR_TRY(time_calls(backend, work, user, 1, &ns, err));
    SVR_TRY(time_calls(backend, work, user, 1, &ns, err));
    return largest || ns >= LONG_NS ? time_steadily(backend, work, user, ns, seconds, err) : SVR_OK;
}

/* ------------------------------------------------------------------ products and copies */

/* An op on operands of a size, in a room of its own. */
typedef struct trial {
    bench_room room;
    union {
        svr_linear_args linear;
        svr_copy_args copy;
    } args;
} trial;

typedef struct trial_kind {
    svr_status (*prepare)(trial *t, svr_backend *backend, svr_dtype storage, int64_t size,
                          svr_error *err);
    bench_work work;
    int64_t first, most; /* sizes, which double */
} trial_kind;

static svr_status multiply(void *user, svr_error *err)
{
    trial *t = user;

    return svr_op_linear(&t->room.exec, &t->args.linear, err);
}

/* n x n matrices. */
static svr_status prepare_product(trial *t, svr_backend *backend, svr_dtype storage, int64_t n,
                                  svr_error *err)
{
    svr_dtype weight = backend->vtable->weight_dtype(backend, storage);
    size_t matrix = (size_t) (n * n) * sizeof(float), workspace = 0;
    svr_linear_args *a = &t->args.linear;

    a->x = svr_tensor_2d(NULL, storage, n, n);
    a->w = svr_tensor_2d(NULL, weight, n, n);
    a->y = svr_tensor_2d(NULL, storage, n, n);
    if (backend->ops->linear_workspace)
        workspace = backend->ops->linear_workspace(backend, a);
    SVR_TRY(room_open(&t->room, backend, 3 * matrix + workspace + SVR_SCRATCH_ALIGN, err));
    SVR_TRY(random_matrix(&t->room, storage, n, n, &a->x, err));
    SVR_TRY(random_matrix(&t->room, weight, n, n, &a->w, err));
    return svr_exec_alloc(&t->room.exec, storage, SVR_DIMS(n, n), &a->y, err);
}

static svr_status copy(void *user, svr_error *err)
{
    trial *t = user;

    return svr_op_copy(&t->room.exec, &t->args.copy, err);
}

static svr_status prepare_copy(trial *t, svr_backend *backend, svr_dtype storage, int64_t bytes,
                               svr_error *err)
{
    int64_t rows = 1024, columns = bytes / rows / (int64_t) svr_dtype_size(storage);
    svr_copy_args *a = &t->args.copy;

    SVR_TRY(room_open(&t->room, backend, 2 * (size_t) bytes, err));
    SVR_TRY(random_matrix(&t->room, storage, rows, columns, &a->src, err));
    return svr_exec_alloc(&t->room.exec, storage, SVR_DIMS(rows, columns), &a->dst, err);
}

/* Seconds of a call; 0 when the size is too small to measure. */
static svr_status try_size(svr_backend *backend, svr_dtype storage, const trial_kind *kind,
                           int64_t size, double *seconds, svr_error *err)
{
    trial t = {0};
    svr_status status = kind->prepare(&t, backend, storage, size, err);

    *seconds = 0;
    if (status == SVR_OK)
        status = settle(backend, kind->work, &t, size == kind->most, seconds, err);
    room_close(&t.room);
    return status;
}

/* The first size that takes long enough, or the largest, and the seconds of a call. */
static svr_status find_size(svr_backend *backend, svr_dtype storage, const trial_kind *kind,
                            int64_t *size, double *seconds, svr_error *err)
{
    *seconds = 0;
    for (*size = kind->first;; *size *= 2) {
        SVR_TRY(try_size(backend, storage, kind, *size, seconds, err));
        if (*seconds > 0)
            return SVR_OK;
    }
}

static svr_status measure_product(svr_backend *backend, svr_dtype storage, bench_rates *out,
                                  svr_error *err)
{
    static const trial_kind kind = {prepare_product, multiply, FIRST_GEMM, MOST_GEMM};
    double seconds;
    int64_t n;

    SVR_TRY(find_size(backend, storage, &kind, &n, &seconds, err));
    out->gemm_size = (int) n;
    out->gemm = 2.0 * (double) (n * n) * (double) n / seconds;
    return SVR_OK;
}

static svr_status measure_copy(svr_backend *backend, svr_dtype storage, bench_rates *out,
                               svr_error *err)
{
    static const trial_kind kind = {prepare_copy, copy, FIRST_COPY, MOST_COPY};
    double seconds;
    int64_t bytes;

    SVR_TRY(find_size(backend, storage, &kind, &bytes, &seconds, err));
    out->copy = 2.0 * (double) bytes / seconds;
    return SVR_OK;
}

/* ------------------------------------------------------------------ host to device and back */

typedef struct transfer {
    svr_backend *backend;
    void *host, *device;
} transfer;

static svr_status send_up(void *user, svr_error *err)
{
    transfer *t = user;

    return svr_backend_upload(t->backend, t->device, t->host, TRANSFER, err);
}

static svr_status bring_down(void *user, svr_error *err)
{
    transfer *t = user;

    return svr_backend_download(t->backend, t->host, t->device, TRANSFER, err);
}

static svr_status copy_in(void *user, svr_error *err)
{
    transfer *t = user;

    return svr_backend_copy_in(t->backend, t->device, t->host, TRANSFER, err);
}

static svr_status copy_out(void *user, svr_error *err)
{
    transfer *t = user;

    return svr_backend_copy_out(t->backend, t->host, t->device, TRANSFER, err);
}

/* The same with the memory and the queues that streamed weights and parked activations take. */
static svr_status try_queues(svr_backend *backend, bench_rates *out, svr_error *err)
{
    transfer t = {.backend = backend};
    double in = 0, back = 0;
    svr_status status;

    SVR_TRY(svr_backend_host_alloc(backend, TRANSFER, &t.host, err));
    status = svr_backend_alloc(backend, SVR_MEM_SCRATCH, TRANSFER, &t.device, err);
    memset(t.host, 77, TRANSFER);
    if (status == SVR_OK)
        status = time_steadily(backend, copy_in, &t, LONG_NS, &in, err);
    if (status == SVR_OK)
        status = time_steadily(backend, copy_out, &t, LONG_NS, &back, err);
    svr_backend_free(backend, SVR_MEM_SCRATCH, TRANSFER, t.device);
    svr_backend_host_free(backend, TRANSFER, t.host);
    SVR_TRY(status);
    out->in = TRANSFER / in;
    out->out = TRANSFER / back;
    return SVR_OK;
}

static svr_status measure_transfers(transfer *t, bench_rates *out, svr_error *err)
{
    double up, down;
    uint64_t ns;

    SVR_TRY(time_calls(t->backend, send_up, t, 1, &ns, err));
    SVR_TRY(time_steadily(t->backend, send_up, t, LONG_NS, &up, err));
    SVR_TRY(time_steadily(t->backend, bring_down, t, LONG_NS, &down, err));
    out->upload = TRANSFER / up;
    out->download = TRANSFER / down;
    return SVR_OK;
}

static svr_status try_transfers(svr_backend *backend, bench_rates *out, svr_error *err)
{
    transfer t = {.backend = backend};
    svr_status status;

    SVR_TRY(svr_backend_alloc(backend, SVR_MEM_SCRATCH, TRANSFER, &t.device, err));
    t.host = g_malloc(TRANSFER);
    for (size_t i = 0; i < TRANSFER; i++)
        ((uint8_t *) t.host)[i] = (uint8_t) (i * 2654435761u >> 13);
    status = measure_transfers(&t, out, err);
    g_free(t.host);
    svr_backend_free(backend, SVR_MEM_SCRATCH, TRANSFER, t.device);
    return status;
}

svr_status bench_measure_rates(svr_backend *backend, svr_dtype storage, bench_rates *out,
                               svr_error *err)
{
    *out = (bench_rates){0};
    SVR_TRY(measure_product(backend, storage, out, err));
    SVR_TRY(measure_copy(backend, storage, out, err));
    SVR_TRY(try_transfers(backend, out, err));
    return try_queues(backend, out, err);
}
