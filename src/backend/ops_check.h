/* What the checked op entries are made of: a table of operands per op, with shapes in letters, and
 * one check function per op.  Internal to src/backend.  Level 1.  Thread: any (pure functions). */
#ifndef SVR_BACKEND_OPS_CHECK_H
#define SVR_BACKEND_OPS_CHECK_H

#include "backend/ops.h"

#include <stddef.h>

typedef enum svr_operand_type {
    SVR_OPERAND_STORAGE, /* F32, F16 or BF16 */
    SVR_OPERAND_FACTOR,  /* storage, F8_E4M3 or I8 */
    SVR_OPERAND_BYTES,   /* F8_E4M3 or I8 */
    SVR_OPERAND_FIRST,   /* the type of the first operand */
    SVR_OPERAND_F32,
    SVR_OPERAND_I32,
    SVR_OPERAND_ANY
} svr_operand_type;

enum {
    SVR_OPERAND_OPTIONAL = 1, /* may be absent */
    SVR_OPERAND_WRITTEN = 2,  /* output: may not overlap other operands … */
    SVR_OPERAND_IN_PLACE = 4, /* … except exactly an input with this mark */
    SVR_OPERAND_EMPTY = 8     /* the outermost size may be 0 */
};

/* One tensor of an argument struct.  `shape` has one character per axis: a letter stands for the
 * same size in all operands of the op, a digit for itself, '.' for any size; NULL: any rank and
 * sizes. */
typedef struct svr_operand {
    const char *name;
    size_t offset;
    const char *shape;
    svr_operand_type type;
    unsigned flags;
} svr_operand;

#define SVR_OPERAND(op, field, shape, type, flags)                                                 \
    {                                                                                              \
#field, offsetof(svr_##op##_args, field), shape, SVR_OPERAND_##type, flags                 \
    }

/* Largest size of one axis; products with a few small numbers still fit into int64_t. */
#define SVR_OP_MAX_SIZE ((int64_t) 1 << 40)

/* Presence, type, rank, sizes, byte counts and overlap of `count` operands of `args`.
 * Errors: SHAPE, UNSUPPORTED (type), both with op and tensor. */
SVR_CHECKED svr_status svr_check_operands(const char *op, const void *args,
                                          const svr_operand *operands, int count, svr_error *err);

/* Tensor `name` must have exactly the sizes `dims` (its rank is right already), which follow from
 * tensor `source`. */
SVR_CHECKED svr_status svr_check_dims(const char *op, const char *name, const svr_tensor *t,
                                      const int64_t *dims, const svr_tensor *source,
                                      svr_error *err);

/* INVALID with `what` unless `ok`. */
SVR_CHECKED svr_status svr_check_option(const char *op, bool ok, const char *what, svr_error *err);

/* SHAPE with both tensors and `what` unless `ok`. */
SVR_CHECKED svr_status svr_check_fit(bool ok, const char *what, const svr_tensor *a,
                                     const svr_tensor *b, svr_error *err);

/* UNSUPPORTED or SHAPE unless tensor `name` has its scale `scale_name` exactly when it is F8_E4M3
 * or I8. */
SVR_CHECKED svr_status svr_check_scale(const char *op, const char *const names[2],
                                       const svr_tensor *t, const svr_tensor *scale,
                                       svr_error *err);

SVR_CHECKED svr_status svr_check_activation(const char *op, svr_activation activation,
                                            svr_error *err);

/* True for F32, F16 and BF16. */
bool svr_is_storage(svr_dtype dtype);

#define SVR_CHECK_OPERANDS(op, args, operands, err)                                                \
    svr_check_operands((op), (args), (operands), (int) (sizeof(operands) / sizeof((operands)[0])), \
                       (err))

/* svr_check_conv3d(), …: everything that can be told from the arguments alone. */
#define SVR_OP_CHECK(name)                                                                         \
    SVR_CHECKED svr_status svr_check_##name(const svr_##name##_args *args, svr_error *err);
SVR_OP_LIST(SVR_OP_CHECK)
#undef SVR_OP_CHECK

#endif
