/* Histograms, and matching one distribution to another through them. */
#include "cpu/cpu_pixels.h"

#include "cpu/cpu_internal.h"

#include <string.h>

/* ---------------------------------------------------------------------------- histogram */

typedef struct histogram_context {
    const svr_histogram_args *args;
    uint32_t *counts; /* [threads, 3, bins] */
    int64_t bins;
} histogram_context;

static void count_row(void *context, int64_t index, int thread)
{
    const histogram_context *c = context;
    const svr_histogram_args *args = c->args;
    int64_t width = args->x.dims[2];
    const float *row = (const float *) args->x.data + index * width * 3;

    for (int ch = 0; ch < 3; ch++) {
        uint32_t *counts = c->counts + (thread * 3 + ch) * c->bins;
        float lo = args->lo[ch], hi = args->hi[ch], scale = (float) c->bins / (hi - lo);

        for (int64_t x = 0; x < width; x++) {
            float v = row[3 * x + ch];

            if (v >= lo && v <= hi) {
                int64_t bin = (int64_t) ((v - lo) * scale);

                counts[bin < c->bins ? bin : c->bins - 1]++;
            }
        }
    }
}

size_t svr_cpu_histogram_workspace(svr_backend *backend, const svr_histogram_args *args)
{
    return (size_t) svr_cpu_of(backend)->threads * svr_tensor_bytes(&args->counts);
}

svr_status svr_cpu_histogram(svr_exec *exec, const svr_histogram_args *args, void *workspace,
                             svr_error *err)
{
    histogram_context context = {.args = args, .counts = workspace, .bins = args->counts.dims[1]};
    int threads = svr_cpu_of(exec->backend)->threads;
    uint32_t *counts = args->counts.data;

    memset(workspace, 0, svr_cpu_histogram_workspace(exec->backend, args));
    if (!args->accumulate)
        memset(counts, 0, svr_tensor_bytes(&args->counts));
    SVR_TRY(svr_cpu_for(exec, args->x.dims[0] * args->x.dims[1], count_row, &context, err));
    for (int thread = 0; thread < threads; thread++) {
        for (int64_t i = 0; i < INT64_C(3) * context.bins; i++)
            counts[i] += context.counts[(int64_t) thread * 3 * context.bins + i];
    }
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- matching */

/* One channel's way from its own histogram to the reference's. */
typedef struct channel_map {
    float *own, *ref; /* [bins + 1] shares of values below each bin's start */
    int32_t *target; /* [bins + 1] first boundary of `ref` above own[i], or the end of its values */
} channel_map;

typedef struct match_context {
    const svr_match_histogram_args *args;
    channel_map map[3];
    int32_t bins;
} match_context;

/* Counts go up to 2^32 - 1. */
static void accumulate(const uint32_t *counts, int32_t bins, float *shares)
{
    int64_t total = 0, below = 0;

    for (int32_t i = 0; i < bins; i++)
        total += counts[i];
    for (int32_t i = 0; i < bins; i++) {
        shares[i] = total > 0 ? (float) ((double) below / (double) total) : 0.0f;
        below += counts[i];
    }
    shares[bins] = 1.0f;
}

/* First boundary in [first, last] whose share is above `share`, else `last`.  A share that many
 * boundaries have, at a gap in the reference, so belongs to the values above the gap, as the value
 * that it came from is the lowest of its bin. */
static int32_t find_above(const float *shares, int32_t first, int32_t last, float share)
{
    while (first < last) {
        int32_t middle = first + (last - first) / 2;

        if (shares[middle] > share)
            last = middle;
        else
            first = middle + 1;
    }
    return first;
}

static void fill_targets(const channel_map *map, int32_t bins)
{
    int32_t end = bins; /* of the reference's values */

    while (end > 1 && map->ref[end - 1] >= 1.0f)
        end--;
    for (int32_t i = 0; i <= bins; i++)
        map->target[i] = find_above(map->ref, 1, end, map->own[i]);
}

static float matched(const channel_map *map, int32_t bins, float position)
{
    float top = (float) bins - 1e-3f, share, width, inside;
    int32_t i, j;

    position = position > 0.0f ? position : 0.0f;
    position = position < top ? position : top;
    i = (int32_t) position;
    share = map->own[i] + (map->own[i + 1] - map->own[i]) * (position - (float) i);
    j = find_above(map->ref, map->target[i], map->target[i + 1], share);
    width = map->ref[j] - map->ref[j - 1];
    inside = (share - map->ref[j - 1]) / (width > 1e-12f ? width : 1e-12f);
    inside = inside < 0.0f ? 0.0f : inside > 1.0f ? 1.0f : inside;
    return (float) (j - 1) + inside;
}

static void match_row(void *context, int64_t index, int thread)
{
    const match_context *c = context;
    const svr_match_histogram_args *args = c->args;
    int64_t width = args->x.dims[2], first = index * width * 3;

    (void) thread;
    for (int ch = 0; ch < 3; ch++) {
        const channel_map map = c->map[ch];
        float lo = args->lo[ch], step = (args->hi[ch] - lo) / (float) c->bins,
              keep = args->keep[ch];
        const float *in = (const float *) args->x.data + first + ch;
        float *out = (float *) args->y.data + first + ch;

        for (int64_t x = 0; x < width; x++) {
            float v = in[3 * x];
            float target = lo + step * matched(&map, c->bins, (v - lo) / step);

            out[3 * x] = keep * v + (1.0f - keep) * target;
        }
    }
}

size_t svr_cpu_match_histogram_workspace(svr_backend *backend, const svr_match_histogram_args *args)
{
    size_t boundaries = (size_t) args->counts.dims[1] + 1;

    (void) backend;
    return 3 * boundaries * (2 * sizeof(float) + sizeof(int32_t));
}

svr_status svr_cpu_match_histogram(svr_exec *exec, const svr_match_histogram_args *args,
                                   void *workspace, svr_error *err)
{
    int64_t boundaries = args->counts.dims[1] + 1;
    float *shares = workspace;
    int32_t *targets = (int32_t *) (void *) (shares + 6 * boundaries);
    match_context context = {.args = args, .bins = (int32_t) args->counts.dims[1]};

    for (int ch = 0; ch < 3; ch++) {
        channel_map *map = &context.map[ch];
        int64_t first = (int64_t) ch * context.bins;

        map->own = shares + boundaries * 2 * ch;
        map->ref = map->own + boundaries;
        map->target = targets + ch * boundaries;
        accumulate((const uint32_t *) args->counts.data + first, context.bins, map->own);
        accumulate((const uint32_t *) args->ref_counts.data + first, context.bins, map->ref);
        fill_targets(map, context.bins);
    }
    return svr_cpu_for(exec, args->x.dims[0] * args->x.dims[1], match_row, &context, err);
}
