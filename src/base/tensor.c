#include "base/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static svr_tensor make(void *data, svr_dtype dtype, int rank, const int64_t *dims)
{
    svr_tensor t = {.data = data, .dtype = dtype, .rank = rank};

    memcpy(t.dims, dims, (size_t) rank * sizeof dims[0]);
    return t;
}

svr_tensor svr_tensor_1d(void *data, svr_dtype dtype, int64_t a)
{
    return make(data, dtype, 1, (int64_t[]){a});
}

svr_tensor svr_tensor_2d(void *data, svr_dtype dtype, int64_t a, int64_t b)
{
    return make(data, dtype, 2, (int64_t[]){a, b});
}

svr_tensor svr_tensor_3d(void *data, svr_dtype dtype, int64_t a, int64_t b, int64_t c)
{
    return make(data, dtype, 3, (int64_t[]){a, b, c});
}

svr_tensor svr_tensor_4d(void *data, svr_dtype dtype, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return make(data, dtype, 4, (int64_t[]){a, b, c, d});
}

bool svr_tensor_present(const svr_tensor *t)
{
    return t->data != NULL;
}

int64_t svr_tensor_elems(const svr_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->rank; i++)
        n *= t->dims[i];
    return n;
}

size_t svr_tensor_bytes(const svr_tensor *t)
{
    return (size_t) svr_tensor_elems(t) * svr_dtype_size(t->dtype);
}

svr_tensor svr_tensor_slice(const svr_tensor *t, int64_t first, int64_t count)
{
    svr_tensor s = *t;

    assert(t->rank > 0 && first >= 0 && count >= 0 && first + count <= t->dims[0]);
    s.dims[0] = 1;
    s.data = (char *) t->data + (size_t) first * svr_tensor_bytes(&s);
    s.dims[0] = count;
    return s;
}

svr_tensor svr_tensor_as_2d(const svr_tensor *t, int64_t a, int64_t b)
{
    assert(a * b == svr_tensor_elems(t));
    return svr_tensor_2d(t->data, t->dtype, a, b);
}

bool svr_tensor_same_shape(const svr_tensor *a, const svr_tensor *b)
{
    return a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t) a->rank * sizeof a->dims[0]) == 0;
}

char *svr_tensor_describe(const svr_tensor *t, char *text, size_t size)
{
    int n = snprintf(text, size, "%s [", svr_dtype_name(t->dtype));

    for (int i = 0; i < t->rank && n > 0 && (size_t) n < size; i++)
        n += snprintf(text + n, size - (size_t) n, "%s%" PRId64, i ? ", " : "", t->dims[i]);
    if (n > 0 && (size_t) n < size)
        snprintf(text + n, size - (size_t) n, "]");
    return text;
}
