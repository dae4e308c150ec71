#include "video/temporal.h"

#include "base/checked.h"

#include <assert.h>
#include <math.h>

int64_t svr_padded_length(int64_t n, int factor)
{
    return n <= 0 ? 0 : svr_ceil_div(n - 1, factor) * factor + 1;
}

int64_t svr_tail_index(int64_t n, int64_t count, int64_t i)
{
    int64_t k = i - n; /* which of the appended frames */

    assert(n > 0 && i >= 0 && i < n + count);
    if (k < 0)
        return i;
    if (count < n)
        return n - 2 - k;
    return k < n - 1 ? n - 1 - k : n - 1;
}

int64_t svr_head_index(int64_t n, int64_t count, int64_t i)
{
    assert(n > 0 && i >= 0 && i < n + count);
    if (i >= count)
        return i - count;
    return svr_min_i64(count - i, n - 1);
}

int64_t svr_batch_step(int64_t batch, int64_t overlap, int64_t *effective_overlap)
{
    *effective_overlap = overlap > 0 && overlap < batch ? overlap : 0;
    return batch - *effective_overlap;
}

bool svr_batch_exists(int64_t total, int64_t start, int64_t overlap)
{
    return start == 0 ? total > 0 : total - start > overlap;
}

float svr_overlap_weight(int n, int i, bool as_reference)
{
    const float pi = 3.14159265f;
    float step, t;

    assert(i >= 0 && i < n);
    if (!as_reference)
        return 0.5f + 0.5f * cosf(pi * (float) (i + 1) / (float) (n + 1));
    if (n < 3)
        return i == 0 ? 1.0f : 0.0f;
    /* Only the middle third of the shared frames mixes.  In single precision and counted from the
     * nearer end, like the reference: its rounding shows in the sixth digit of a blend. */
    step = 1.0f / (float) (n - 1);
    t = i < n / 2 ? step * (float) i : 1.0f - step * (float) (n - 1 - i);
    t = (t - 1.0f / 3.0f) / (1.0f / 3.0f);
    t = t < 0.0f ? 0.0f : t > 1.0f ? 1.0f : t;
    return 0.5f + 0.5f * cosf(pi * t);
}
