#include "harness_internal.h"

#include "base/checked.h"
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 256, POISON = 0xFF };

const svr_dtype ops_storage[3] = {SVR_F32, SVR_F16, SVR_BF16};

/* More than any case needs, a library's own workspace included. */
enum { SCRATCH_BYTES = 64 << 20 };

/* ---------------------------------------------------------------------------- bench and cases */

void ops_fail(const ops_bench *bench, const char *fmt, ...)
{
    va_list list;

    fprintf(stderr, "case \"%s\" on %s: ", bench->label, bench->backend->name);
    va_start(list, fmt);
    vfprintf(stderr, fmt, list);
    va_end(list);
    fprintf(stderr, "\n");
    exit(1);
}

ops_bench *ops_bench_create(svr_backend *backend, svr_backend *twin)
{
    ops_bench *bench = calloc(1, sizeof *bench);
    svr_error err = {.code = SVR_OK};
    void *memory = NULL;

    CHECK(bench != NULL);
    bench->backend = backend;
    bench->twin = twin;
    CHECK_OK(svr_backend_alloc(backend, SVR_MEM_SCRATCH, SCRATCH_BYTES, &memory, &err), err);
    bench->scratch_memory = memory;
    bench->poison = malloc(SCRATCH_BYTES);
    bench->image = malloc(SCRATCH_BYTES);
    CHECK(bench->poison != NULL && bench->image != NULL);
    memset(bench->poison, POISON, SCRATCH_BYTES);
    return bench;
}

void ops_bench_set(ops_bench *bench, bool small, bool aligned)
{
    bench->small = small;
    bench->aligned = aligned;
}

bool ops_wants(const ops_bench *bench, bool in_small)
{
    return in_small || !bench->small;
}

static void end_case(ops_bench *bench)
{
    for (int i = 0; i < bench->array_count; i++) {
        ops_array *a = &bench->arrays[i];

        svr_backend_free(bench->backend, SVR_MEM_SCRATCH, a->size, a->block);
        free(a->before);
        free(a->after);
        free(a->values);
    }
    for (int i = 0; i < bench->block_count; i++)
        free(bench->blocks[i]);
    bench->array_count = 0;
    bench->block_count = 0;
}

void ops_bench_destroy(ops_bench *bench)
{
    end_case(bench);
    svr_backend_free(bench->backend, SVR_MEM_SCRATCH, SCRATCH_BYTES, bench->scratch_memory);
    free(bench->poison);
    free(bench->image);
    free(bench);
}

void ops_case(ops_bench *bench, const char *fmt, ...)
{
    uint64_t seed = 1;
    va_list list;

    end_case(bench);
    va_start(list, fmt);
    vsnprintf(bench->label, sizeof bench->label, fmt, list);
    va_end(list);
    for (const char *c = bench->label; *c; c++)
        seed = seed * 31 + (unsigned char) *c;
    bench->random = test_random_seed(seed);
    bench->unsupported = false;
    bench->cases++;
}

void ops_bench_round_biases(ops_bench *bench)
{
    bench->round_biases = true;
}

bool ops_is_refused(const ops_bench *bench)
{
    return bench->unsupported;
}

int ops_refused(const ops_bench *bench)
{
    return bench->refused;
}

int ops_cases(const ops_bench *bench)
{
    return bench->cases;
}

svr_dtype ops_weight_dtype(const ops_bench *bench, svr_dtype storage)
{
    return bench->backend->vtable->weight_dtype(bench->backend, storage);
}

test_random *ops_random(ops_bench *bench)
{
    return &bench->random;
}

double *ops_doubles(ops_bench *bench, int64_t n)
{
    double *block = calloc((size_t) (n > 0 ? n : 1), sizeof *block);

    CHECK(block != NULL && bench->block_count < OPS_MOST_BLOCKS);
    bench->blocks[bench->block_count++] = block;
    return block;
}

/* ---------------------------------------------------------------------------- arrays */

static ops_array *add_array(ops_bench *bench, role r, svr_dtype dtype, int rank,
                            const int64_t *dims)
{
    ops_array *a = &bench->arrays[bench->array_count];
    svr_error err = {.code = SVR_OK};
    void *block = NULL;
    int64_t n;

    CHECK(bench->array_count < OPS_MOST_ARRAYS);
    bench->array_count++;
    *a = (ops_array){.bench = bench, .role = r, .device = {.dtype = dtype, .rank = rank}};
    memcpy(a->device.dims, dims, (size_t) rank * sizeof dims[0]);
    n = svr_tensor_elems(&a->device);
    /* every second array starts one element off its alignment */
    a->lead = GUARD + (bench->aligned || bench->array_count % 2 ? 0 : svr_dtype_size(dtype));
    a->bytes = svr_tensor_bytes(&a->device);
    a->size = a->lead + a->bytes + GUARD;
    CHECK_OK(svr_backend_alloc(bench->backend, SVR_MEM_SCRATCH, a->size, &block, &err), err);
    a->block = block;
    a->device.data = a->block + a->lead;
    a->before = malloc(a->size);
    a->after = malloc(a->size);
    CHECK(a->before != NULL && a->after != NULL);
    memset(a->before, POISON, a->size);
    if (dtype != SVR_I32) {
        a->values = calloc((size_t) (n > 0 ? n : 1), sizeof(double));
        CHECK(a->values != NULL);
    }
    return a;
}

double ops_put(svr_dtype dtype, unsigned char *at, double value)
{
    float f = (float) value;

    svr_from_f32(&f, dtype, at, 1);
    svr_to_f32(at, dtype, &f, 1);
    return (double) f;
}

void ops_set_values(ops_array *a, const double *values)
{
    int64_t n = svr_tensor_elems(&a->device);
    size_t size = svr_dtype_size(a->device.dtype);

    for (int64_t i = 0; i < n; i++)
        a->values[i] = ops_put(a->device.dtype, a->before + a->lead + (size_t) i * size, values[i]);
}

void ops_set_ints(ops_array *a, const int32_t *values)
{
    CHECK(a->device.dtype == SVR_I32);
    memcpy(a->before + a->lead, values, a->bytes);
}

void ops_scale_values(ops_array *a, double scale, double offset)
{
    int64_t n = svr_tensor_elems(&a->device);

    for (int64_t i = 0; i < n; i++)
        a->values[i] = scale * a->values[i] + offset;
    ops_set_values(a, a->values);
}

void ops_fit_bias(ops_array *a, svr_dtype dtype)
{
    unsigned char rounded[8];

    if (!a || !a->bench->round_biases)
        return;
    for (int64_t i = 0; i < svr_tensor_elems(&a->device); i++)
        a->values[i] = ops_put(dtype, rounded, a->values[i]);
    ops_set_values(a, a->values);
}

static ops_array *add_filled(ops_bench *bench, role r, svr_dtype dtype, int rank,
                             const int64_t *dims)
{
    ops_array *a = add_array(bench, r, dtype, rank, dims);
    int64_t n = svr_tensor_elems(&a->device);

    if (!a->values)
        return a;
    for (int64_t i = 0; i < n; i++)
        a->values[i] = (double) test_random_normal(&bench->random);
    ops_set_values(a, a->values);
    return a;
}

ops_array *ops_input(ops_bench *bench, svr_dtype dtype, int rank, const int64_t *dims)
{
    return add_filled(bench, INPUT, dtype, rank, dims);
}

ops_array *ops_in_place(ops_bench *bench, svr_dtype dtype, int rank, const int64_t *dims)
{
    return add_filled(bench, IN_PLACE, dtype, rank, dims);
}

ops_array *ops_output(ops_bench *bench, svr_dtype dtype, int rank, const int64_t *dims)
{
    return add_array(bench, OUTPUT, dtype, rank, dims);
}

svr_tensor ops_view(const ops_array *a, int side)
{
    svr_tensor t = {.data = NULL};

    if (!a)
        return t;
    t = a->device;
    if (side == OPS_DEVICE)
        return t;
    t.data = a->values ? (void *) a->values : (void *) (a->before + a->lead);
    t.dtype = a->values ? SVR_F64 : a->device.dtype;
    return t;
}

/* ---------------------------------------------------------------------------- running */

int ops_passes(const ops_bench *bench)
{
    return bench->twin ? 3 : 2;
}

svr_backend *ops_backend(const ops_bench *bench, int pass)
{
    return pass == 2 ? bench->twin : bench->backend;
}

svr_exec *ops_before(ops_bench *bench, int pass, size_t workspace)
{
    size_t capacity = svr_align_up(workspace, SVR_SCRATCH_ALIGN);
    svr_error err = {.code = SVR_OK};

    bench->workspace = workspace;
    bench->poisoned = capacity + GUARD;
    if (bench->poisoned > SCRATCH_BYTES)
        ops_fail(bench, "needs %zu bytes of workspace; make the case smaller", workspace);
    CHECK_OK(svr_backend_upload(bench->backend, bench->scratch_memory, bench->poison,
                                bench->poisoned, &err),
             err);
    for (int i = 0; i < bench->array_count; i++) {
        ops_array *a = &bench->arrays[i];

        CHECK_OK(svr_backend_upload(bench->backend, a->block, a->before, a->size, &err), err);
    }
    bench->scratch = svr_scratch_create(bench->scratch_memory, capacity);
    CHECK(bench->scratch != NULL);
    bench->exec = (svr_exec){.backend = ops_backend(bench, pass), .scratch = bench->scratch};
    return &bench->exec;
}

/* Memory behind the workspace must still hold the poison. */
static void check_workspace(ops_bench *bench)
{
    size_t peak = svr_scratch_peak(bench->scratch), behind = bench->poisoned - bench->workspace;
    svr_error err = {.code = SVR_OK};

    if (peak < bench->workspace)
        ops_fail(bench, "took %zu bytes of scratch, but said %zu", peak, bench->workspace);
    if (svr_scratch_live(bench->scratch) != 0)
        ops_fail(bench, "kept %zu bytes of scratch", svr_scratch_live(bench->scratch));
    CHECK_OK(svr_backend_download(bench->backend, bench->image,
                                  bench->scratch_memory + bench->workspace, behind, &err),
             err);
    if (memcmp(bench->image, bench->poison, behind) != 0)
        ops_fail(bench, "wrote behind its workspace of %zu bytes", bench->workspace);
}

static void check_untouched(const ops_bench *bench, const ops_array *a, const unsigned char *image)
{
    size_t end = a->lead + a->bytes;

    if (memcmp(image, a->before, a->lead) != 0)
        ops_fail(bench, "wrote in front of array %d", (int) (a - bench->arrays));
    if (memcmp(image + end, a->before + end, a->size - end) != 0)
        ops_fail(bench, "wrote behind array %d", (int) (a - bench->arrays));
    if (a->role == INPUT && memcmp(image, a->before, a->size) != 0)
        ops_fail(bench, "changed input %d", (int) (a - bench->arrays));
}

void ops_after(ops_bench *bench, int pass, svr_status status, const svr_error *err)
{
    svr_error failure = {.code = SVR_OK};

    if (status == SVR_ERR_UNSUPPORTED && strcmp(bench->backend->name, "cpu") != 0) {
        if (!bench->unsupported)
            printf("unsupported: %s: %s\n", bench->label, err->text);
        bench->refused += !bench->unsupported;
        bench->unsupported = true;
        svr_scratch_destroy(bench->scratch);
        return;
    }
    if (status != SVR_OK)
        ops_fail(bench, "%s: %s", svr_status_name(status), err->text);
    CHECK_OK(svr_backend_synchronize(bench->exec.backend, &failure), failure);
    check_workspace(bench);
    for (int i = 0; i < bench->array_count; i++) {
        ops_array *a = &bench->arrays[i];
        unsigned char *image = malloc(a->size);

        CHECK(image != NULL);
        CHECK_OK(svr_backend_download(bench->backend, image, a->block, a->size, &failure), failure);
        check_untouched(bench, a, image);
        if (pass == 0)
            memcpy(a->after, image, a->size);
        else if (memcmp(a->after, image, a->size) != 0)
            ops_fail(bench, "array %d differs from the first run in run %d (3: other threads)", i,
                     pass + 1);
        free(image);
    }
    svr_scratch_destroy(bench->scratch);
}
