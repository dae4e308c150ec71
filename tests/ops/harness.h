/* Runs ops on a backend under watch and compares them with references in double precision.
 *
 * A case makes arrays (inputs, outputs, or both), fills an argument struct twice, once with the
 * views of the device and once with those of the reference (dense F64 host tensors; I32 stays I32),
 * runs the op with OPS_RUN, computes the reference in place of the reference's outputs, and
 * compares:
 *
 *     ops_case(bench, "lincomb f16 n=%d", n);
 *     ops_array *a = ops_input(bench, SVR_F16, SVR_DIMS(n)), *y = ops_output(bench, SVR_F16,
 * SVR_DIMS(n)); svr_lincomb_args args[OPS_SIDES]; for (int side = 0; side < OPS_SIDES; side++)
 *         args[side] = (svr_lincomb_args){.a = ops_view(a, side), .y = ops_view(y, side), .alpha =
 * 2}; OPS_RUN(bench, lincomb, &args[OPS_DEVICE]); reference_lincomb(&args[OPS_REFERENCE],
 * ops_doubles(bench, n)); ops_compare(bench, y, NULL, OPS_F32_EPS);
 *
 * OPS_RUN runs three times: twice on the backend and once on its twin (same loops, other number of
 * threads), and wants bitwise equal outputs.  Before each run outputs and workspace are filled with
 * NaN; afterwards inputs must be unchanged, as must be the guard zones around every array and
 * behind the workspace.  Arrays start at odd elements, since slices of tensors do, unless
 * ops_bench_set() says otherwise.  Any failure
 * prints the case and ends the program with status 1. */
#ifndef SVR_TESTS_OPS_HARNESS_H
#define SVR_TESTS_OPS_HARNESS_H

#include "backend/ops.h"
#include "random.h"

typedef struct ops_bench ops_bench;
typedef struct ops_array ops_array;

enum { OPS_DEVICE, OPS_REFERENCE, OPS_SIDES };

/* Unit roundoff of F32 arithmetic, 2^-24: limits are multiples of it. */
#define OPS_F32_EPS 0x1p-24

/* `backend` is tested; `twin` (NULL: none) must agree with it bitwise and shares its memory.  Both
 * are borrowed. */
ops_bench *ops_bench_create(svr_backend *backend, svr_backend *twin);
void ops_bench_destroy(ops_bench *bench);

/* Which cases run and where their arrays start; all of them, at odd elements, unless set.
 * small: a few small ones of each op that meet every path of it, for sanitizers.
 * aligned: at multiples of 256 bytes, as whole tensors of networks do, so that a device takes the
 * paths that need that. */
void ops_bench_set(ops_bench *bench, bool small, bool aligned);

/* Whether a case is to run; `in_small`: the small selection has it. */
bool ops_wants(const ops_bench *bench, bool in_small);

/* Starts a case: frees the arrays of the one before and reseeds the random numbers from the name.
 */
void ops_case(ops_bench *bench, const char *fmt, ...) SVR_PRINTF(2, 3);

/* The backend hands convolutions to a library that adds biases in the storage type: from now on
 * ops_fit_bias() rounds. */
void ops_bench_round_biases(ops_bench *bench);

/* Rounds a bias, or NULL, that a library takes in the storage type `dtype` to it, so that the limit
 * needs no room for that; nothing for other backends. */
void ops_fit_bias(ops_array *array, svr_dtype dtype);

/* Cases so far, and how many of them a device other than the CPU refused as unsupported:
 * combinations that no network uses. */
int ops_cases(const ops_bench *bench);
int ops_refused(const ops_bench *bench);

/* Whether the device refused this case: there is nothing to compare. */
bool ops_is_refused(const ops_bench *bench);

/* Random numbers of this case. */
test_random *ops_random(ops_bench *bench);

/* Arrays live until the next case.  Inputs hold N(0,1) rounded to the type until ops_set_values();
 * an in-place array is both input and output. */
ops_array *ops_input(ops_bench *bench, svr_dtype dtype, int rank, const int64_t *dims);
ops_array *ops_output(ops_bench *bench, svr_dtype dtype, int rank, const int64_t *dims);
ops_array *ops_in_place(ops_bench *bench, svr_dtype dtype, int rank, const int64_t *dims);

/* Sets all values of an input (rounded to its type).  For I32: the integers. */
void ops_set_values(ops_array *array, const double *values);
void ops_set_ints(ops_array *array, const int32_t *values);

/* y = scale * y + offset on all values of an input. */
void ops_scale_values(ops_array *array, double scale, double offset);

/* The array as a tensor of one side; an empty tensor for NULL. */
svr_tensor ops_view(const ops_array *array, int side);

/* Every |got - want| <= tolerance * magnitude + half a unit in the last place of the output's type
 * (and no NaN where the reference has none).  magnitude: per element, or NULL for |want| maximised
 * over the array. */
void ops_compare(ops_bench *bench, const ops_array *array, const double *magnitude,
                 double tolerance);

/* norm(got - want) <= limit * norm(want), plus what rounding to the output's type may add. */
void ops_compare_norm(ops_bench *bench, const ops_array *array, double limit);

/* Tolerance for roundings of inner values to a 16-bit `dtype` that a device may do where the CPU
 * backend keeps F32: products before gate and residual, sums of weights, probabilities.  For
 * F8_E4M3 that of a step of the tensor cores' sums, whose fraction has 13 bits on compute
 * capability 9.0.  0 on the CPU and for F32. */
double ops_inner_rounding(const ops_bench *bench, svr_dtype dtype);

/* Bitwise equality with the reference rounded to the type: for ops that only move data. */
void ops_compare_exact(ops_bench *bench, const ops_array *array);

/* What the op wrote, on the host, for comparisons of another kind.  Lives until the next case. */
const void *ops_result(const ops_array *array);

/* Prints the case and the message, ends the program. */
void ops_fail(const ops_bench *bench, const char *fmt, ...) SVR_PRINTF(2, 3);

/* Zeroed memory until the next case. */
double *ops_doubles(ops_bench *bench, int64_t n);

/* Parts of OPS_RUN; `workspace` is what the op says it needs. */
int ops_passes(const ops_bench *bench);
svr_exec *ops_before(ops_bench *bench, int pass, size_t workspace);
void ops_after(ops_bench *bench, int pass, svr_status status, const svr_error *err);

/* The backend of a pass. */
svr_backend *ops_backend(const ops_bench *bench, int pass);

#define OPS_RUN(bench, op, args)                                                                   \
    do {                                                                                           \
        for (int ops_pass_ = 0; ops_pass_ < ops_passes(bench); ops_pass_++) {                      \
            svr_backend *ops_backend_ = ops_backend((bench), ops_pass_);                           \
            size_t ops_bytes_ = ops_backend_->ops->op##_workspace                                  \
                                    ? ops_backend_->ops->op##_workspace(ops_backend_, (args))      \
                                    : 0;                                                           \
            svr_exec *ops_exec_ = ops_before((bench), ops_pass_, ops_bytes_);                      \
            svr_error ops_error_ = {.code = SVR_OK};                                               \
            svr_status ops_status_ = svr_op_##op(ops_exec_, (args), &ops_error_);                  \
            ops_after((bench), ops_pass_, ops_status_, &ops_error_);                               \
        }                                                                                          \
    } while (0)

/* Type of weights of the tested backend for a storage type. */
svr_dtype ops_weight_dtype(const ops_bench *bench, svr_dtype storage);

/* Storage types for loops over them. */
extern const svr_dtype ops_storage[3];

/* The groups of cases. */
#define OPS_GROUPS(X)                                                                              \
    X(conv3d)                                                                                      \
    X(group_norm)                                                                                  \
    X(group_moments)                                                                               \
    X(depth_to_space)                                                                              \
    X(tap_sum)                                                                                     \
    X(upsample)                                                                                    \
    X(frame_attention)                                                                             \
    X(copy)                                                                                        \
    X(copy_rows)                                                                                   \
    X(copy_window)                                                                                 \
    X(lincomb)                                                                                     \
    X(find_overflow)                                                                               \
    X(linear)                                                                                      \
    X(noise)                                                                                       \
    X(guidance)                                                                                    \
    X(swiglu)                                                                                      \
    X(rms_norm)                                                                                    \
    X(patches)                                                                                     \
    X(qk_norm_rope)                                                                                \
    X(window_attention)                                                                            \
    X(frames)                                                                                      \
    X(resize)                                                                                      \
    X(to_model)                                                                                    \
    X(crop)                                                                                        \
    X(blur)                                                                                        \
    X(colour)                                                                                      \
    X(runs)                                                                                        \
    X(rows)                                                                                        \
    X(quantized)                                                                                   \
    X(integers)                                                                                    \
    X(exact)

#define OPS_DECLARE_GROUP(name) void ops_cases_##name(ops_bench *bench);
OPS_GROUPS(OPS_DECLARE_GROUP)
#undef OPS_DECLARE_GROUP

#endif
