#include "backend/ops_check.h"

#include "base/checked.h"

#include <inttypes.h>
#include <string.h>

enum { TEXT_BYTES = 128, LETTERS = 'z' - 'A' + 1 };

typedef struct check {
    const char *op;
    const char *args;
    const svr_operand *operands;
    int count;
    svr_error *err;
    /* the operand that a letter was bound by, index + 1; 0: none so far.  Its axis has the size. */
    unsigned char bound[LETTERS], axis[LETTERS];
} check;

static const svr_tensor *tensor_of(const check *c, int i)
{
    return (const svr_tensor *) (const void *) (c->args + c->operands[i].offset);
}

bool svr_is_storage(svr_dtype dtype)
{
    return dtype == SVR_F32 || dtype == SVR_F16 || dtype == SVR_BF16;
}

static bool is_bytes(const svr_tensor *t)
{
    return t->dtype == SVR_F8_E4M3 || t->dtype == SVR_I8;
}

/* Empty when the type is right, else what it should be. */
static const char *wanted_type(const check *c, int i)
{
    const svr_tensor *t = tensor_of(c, i);

    switch (c->operands[i].type) {
    case SVR_OPERAND_STORAGE:
        return svr_is_storage(t->dtype) ? "" : "f32, f16 or bf16";
    case SVR_OPERAND_FACTOR:
        return svr_is_storage(t->dtype) || is_bytes(t) ? "" : "f32, f16, bf16, f8_e4m3 or i8";
    case SVR_OPERAND_BYTES:
        return is_bytes(t) ? "" : "f8_e4m3 or i8";
    case SVR_OPERAND_FIRST:
        return t->dtype == tensor_of(c, 0)->dtype ? "" : svr_dtype_name(tensor_of(c, 0)->dtype);
    case SVR_OPERAND_F32:
        return t->dtype == SVR_F32 ? "" : "f32";
    case SVR_OPERAND_I32:
        return t->dtype == SVR_I32 ? "" : "i32";
    case SVR_OPERAND_ANY:
        break;
    }
    return (unsigned) t->dtype < SVR_DTYPE_COUNT ? "" : "a known type";
}

static svr_status check_type(const check *c, int i)
{
    const char *want = wanted_type(c, i);
    char text[TEXT_BYTES];

    if (want[0] == '\0')
        return SVR_OK;
    return SVR_FAIL(c->err, SVR_ERR_UNSUPPORTED, "%s: %s is %s; its type must be %s", c->op,
                    c->operands[i].name, svr_tensor_describe(tensor_of(c, i), text, sizeof text),
                    want);
}

/* Rank, and sizes that are possible at all. */
static svr_status check_extent(const check *c, int i)
{
    const svr_operand *operand = &c->operands[i];
    const svr_tensor *t = tensor_of(c, i);
    size_t bytes = svr_dtype_size(t->dtype);
    char text[TEXT_BYTES];

    if (t->rank < 0 || t->rank > SVR_MAX_RANK)
        return SVR_FAIL(c->err, SVR_ERR_SHAPE, "%s: %s has rank %d; at most %d axes are possible",
                        c->op, operand->name, t->rank, SVR_MAX_RANK);
    if (operand->shape && (size_t) t->rank != strlen(operand->shape))
        return SVR_FAIL(c->err, SVR_ERR_SHAPE, "%s: %s is %s; it must have %zu axes", c->op,
                        operand->name, svr_tensor_describe(t, text, sizeof text),
                        strlen(operand->shape));
    for (int axis = 0; axis < t->rank; axis++) {
        int64_t least = axis == 0 && operand->flags & SVR_OPERAND_EMPTY ? 0 : 1;

        if (t->dims[axis] < least || t->dims[axis] > SVR_OP_MAX_SIZE ||
            !svr_mul_size(bytes, (size_t) t->dims[axis], &bytes) || bytes > SIZE_MAX / 4)
            return SVR_FAIL(c->err, SVR_ERR_SHAPE, "%s: %s is %s; axis %d is out of range", c->op,
                            operand->name, svr_tensor_describe(t, text, sizeof text), axis);
    }
    return SVR_OK;
}

/* Binds a letter that is new to an axis of operand i and compares one that is known. */
static svr_status check_letter(check *c, int i, int axis, int letter)
{
    const svr_tensor *t = tensor_of(c, i), *known;
    char text[TEXT_BYTES], other[TEXT_BYTES];

    if (c->bound[letter] == 0) {
        c->bound[letter] = (unsigned char) (i + 1);
        c->axis[letter] = (unsigned char) axis;
        return SVR_OK;
    }
    known = tensor_of(c, c->bound[letter] - 1);
    if (known->dims[c->axis[letter]] == t->dims[axis])
        return SVR_OK;
    return SVR_FAIL(c->err, SVR_ERR_SHAPE,
                    "%s: %s is %s; axis %d must be %" PRId64 " to fit %s, which is %s", c->op,
                    c->operands[i].name, svr_tensor_describe(t, text, sizeof text), axis,
                    known->dims[c->axis[letter]], c->operands[c->bound[letter] - 1].name,
                    svr_tensor_describe(known, other, sizeof other));
}

static svr_status check_shape(check *c, int i)
{
    const svr_operand *operand = &c->operands[i];
    const svr_tensor *t = tensor_of(c, i);
    char text[TEXT_BYTES];

    for (int axis = 0; operand->shape && axis < t->rank; axis++) {
        char name = operand->shape[axis];
        int64_t fixed = name - '0';

        if (name == '.')
            continue;
        if (fixed < 0 || fixed > 9)
            SVR_TRY(check_letter(c, i, axis, name - 'A'));
        else if (t->dims[axis] != fixed)
            return SVR_FAIL(c->err, SVR_ERR_SHAPE, "%s: %s is %s; axis %d must be %" PRId64, c->op,
                            operand->name, svr_tensor_describe(t, text, sizeof text), axis, fixed);
    }
    return SVR_OK;
}

static bool overlap(const svr_tensor *a, const svr_tensor *b)
{
    uintptr_t x = (uintptr_t) a->data, y = (uintptr_t) b->data;

    return x < y ? y - x < svr_tensor_bytes(a) : x - y < svr_tensor_bytes(b);
}

/* The same elements: what a marked input may share with the output. */
static bool identical(const svr_tensor *a, const svr_tensor *b)
{
    return a->data == b->data && a->dtype == b->dtype && svr_tensor_elems(a) == svr_tensor_elems(b);
}

static svr_status check_overlap(const check *c, int output)
{
    const svr_tensor *y = tensor_of(c, output);
    char text[TEXT_BYTES], other[TEXT_BYTES];

    if (!svr_tensor_present(y))
        return SVR_OK;
    for (int i = 0; i < c->count; i++) {
        const svr_tensor *x = tensor_of(c, i);
        bool in_place = c->operands[i].flags & SVR_OPERAND_IN_PLACE && identical(x, y);

        if (i == output || !svr_tensor_present(x) || in_place || !overlap(x, y))
            continue;
        return SVR_FAIL(c->err, SVR_ERR_SHAPE,
                        "%s: output %s, which is %s, overlaps %s, which is %s; give it memory of "
                        "its own",
                        c->op, c->operands[output].name, svr_tensor_describe(y, text, sizeof text),
                        c->operands[i].name, svr_tensor_describe(x, other, sizeof other));
    }
    return SVR_OK;
}

svr_status svr_check_operands(const char *op, const void *args, const svr_operand *operands,
                              int count, svr_error *err)
{
    check c = {.op = op, .args = args, .operands = operands, .count = count, .err = err};

    for (int i = 0; i < count; i++) {
        if (!svr_tensor_present(tensor_of(&c, i))) {
            if (operands[i].flags & SVR_OPERAND_OPTIONAL)
                continue;
            return SVR_FAIL(err, SVR_ERR_SHAPE, "%s: %s is missing", op, operands[i].name);
        }
        SVR_TRY(check_type(&c, i));
        SVR_TRY(check_extent(&c, i));
        SVR_TRY(check_shape(&c, i));
    }
    for (int i = 0; i < count; i++)
        if (operands[i].flags & SVR_OPERAND_WRITTEN)
            SVR_TRY(check_overlap(&c, i));
    return SVR_OK;
}

svr_status svr_check_dims(const char *op, const char *name, const svr_tensor *t,
                          const int64_t *dims, const svr_tensor *source, svr_error *err)
{
    svr_tensor want = *t;
    char text[TEXT_BYTES], other[TEXT_BYTES], from[TEXT_BYTES];

    memcpy(want.dims, dims, (size_t) t->rank * sizeof dims[0]);
    if (svr_tensor_same_shape(t, &want))
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_SHAPE, "%s: %s is %s; it must be %s for an input of %s", op, name,
                    svr_tensor_describe(t, text, sizeof text),
                    svr_tensor_describe(&want, other, sizeof other),
                    svr_tensor_describe(source, from, sizeof from));
}

svr_status svr_check_option(const char *op, bool ok, const char *what, svr_error *err)
{
    return ok ? SVR_OK : SVR_FAIL(err, SVR_ERR_INVALID, "%s: %s", op, what);
}

svr_status svr_check_scale(const char *op, const char *const names[2], const svr_tensor *t,
                           const svr_tensor *scale, svr_error *err)
{
    char text[TEXT_BYTES];

    if (svr_tensor_present(scale) == is_bytes(t))
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_SHAPE,
                    "%s: %s is %s; %s belongs to f8_e4m3 and i8 and to nothing else", op, names[0],
                    svr_tensor_describe(t, text, sizeof text), names[1]);
}

svr_status svr_check_activation(const char *op, svr_activation activation, svr_error *err)
{
    return svr_check_option(op, (unsigned) activation <= SVR_ACT_GELU_TANH,
                            "the activation is none of svr_activation", err);
}

svr_status svr_check_fit(bool ok, const char *what, const svr_tensor *a, const svr_tensor *b,
                         svr_error *err)
{
    char text[TEXT_BYTES], other[TEXT_BYTES];

    if (ok)
        return SVR_OK;
    return SVR_FAIL(err, SVR_ERR_SHAPE, "%s; they are %s and %s", what,
                    svr_tensor_describe(a, text, sizeof text),
                    svr_tensor_describe(b, other, sizeof other));
}
