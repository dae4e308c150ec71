/* What both kernels of window_attention share. */
#ifndef SVR_CUDA_KERNELS_WINDOW_ATTENTION_CUH
#define SVR_CUDA_KERNELS_WINDOW_ATTENTION_CUH

#include "common.cuh"

namespace svr
{

struct window_shape {
    const int *order, *offsets; /* order NULL: tokens lie in the order of windows */
    int first;                  /* the first offset */
    int text, windows, heads;
    bool text_out;
    float scale; /* 1/sqrt(hd) * log2(e) */
};

/* Rows of a window's video tokens. */
struct window_tokens {
    const int *order;
    int start;

    __device__ __forceinline__ int operator[](int s) const
    {
        return order ? order[start + s] : start + s;
    }
};

__device__ __forceinline__ window_tokens tokens_of(const window_shape &s, int window)
{
    return {s.order, s.offsets[window] - s.first};
}

/* Position `s` of a window's sequence to its row of q, k, v. */
template <typename T>
__device__ __forceinline__ const T *sequence_row(const T *vid, const T *txt,
                                                 const window_tokens &tokens, int n, int s,
                                                 int64_t row_elems)
{
    return s < n ? vid + tokens[s] * row_elems : txt + (s - n) * row_elems;
}

__device__ __forceinline__ void copy16(void *shared, const void *global, bool valid)
{
    unsigned address = (unsigned) __cvta_generic_to_shared(shared);

    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global),
                 "r"(valid ? 16 : 0));
}

__device__ __forceinline__ void copy_commit()
{
    asm volatile("cp.async.commit_group;");
}

template <int N> __device__ __forceinline__ void copy_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* The kernel of compute capability 9.0 (window_attention_hopper.cu): whether it can; bytes of its
 * counter; its launch, with text results of every window in F32 to `text_partial`. */
bool window_attention_hopper_serves(const svr_cuda_backend *b,
                                    const svr_window_attention_args *args);

enum { WINDOW_COUNTER_BYTES = 256 };

SVR_CHECKED svr_status window_attention_hopper_run(svr_exec *exec,
                                                   const svr_window_attention_args *args,
                                                   const window_shape &shape, void *counter,
                                                   float *text_partial, svr_error *err);

} // namespace svr

#endif
