/* pipe_blend, pipe_resize, pipe_alpha, pipe_noise. */
#include "base/rng.h"
#include "pipeline/phases.h"
#include "verify/fake_networks.h"
#include "verify/verify.h"
#include "video/pre.h"
#include "video/temporal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GRID = 16 };

/* ------------------------------------------------------------------------------- pipe_blend */

typedef struct blend_case {
    svr_phases *phases;
    int64_t dims[4];
    float *prev, *cur, *out;
} blend_case;

static svr_status run_blend(void *user, svr_exec *exec, svr_error *err)
{
    blend_case *c = (blend_case *) user;
    svr_tensor shape = svr_tensor_4d(NULL, SVR_F32, c->dims[0], c->dims[1], c->dims[2], c->dims[3]);
    svr_tensor prev, cur;

    SVR_TRY(device_put(exec, c->prev, shape, &prev, err));
    SVR_TRY(device_put(exec, c->cur, shape, &cur, err));
    SVR_TRY(svr_phases_blend(c->phases, exec, &prev, &cur, err));
    return device_get(exec->backend, &prev, c->out, err);
}

static svr_status create_phases(verify_run *run, const svr_networks *networks,
                                const int64_t dims[4], svr_phases **out, svr_error *err)
{
    svr_size size = {.width = (int) dims[2], .height = (int) dims[1]};
    svr_video_info info = {.format = SVR_PIXEL_RGB, .width = size.width, .height = size.height};
    svr_phases_config config = {.in = info,
                                .out = info,
                                .sizes = svr_size_plan_exact(size, GRID),
                                .colour = SVR_COLOUR_NONE,
                                .reference_blend = true};

    return svr_phases_create(run->backend, networks, &config, out, err);
}

static svr_status blend_frames(verify_run *run, const golden *g, int n, blend_case *c,
                               svr_error *err)
{
    static const verify_limit limit = {.max_abs = 1e-6};
    g_autofree char *prev = g_strdup_printf("n%d.prev", n);
    g_autofree char *cur = g_strdup_printf("n%d.cur", n);
    g_autofree char *out = g_strdup_printf("n%d.out", n);
    g_autofree char *weights_name = g_strdup_printf("n%d.w_prev", n);
    g_autofree float *weights = g_new(float, (size_t) n);
    const svr_safetensors_entry *prev_entry, *cur_entry;
    svr_networks networks = fake_networks(NULL);

    SVR_TRY(golden_entry(g, prev, 4, &prev_entry, err));
    SVR_TRY(golden_entry(g, cur, 4, &cur_entry, err));
    memcpy(c->dims, prev_entry->dims, sizeof(c->dims));
    if (memcmp(c->dims, cur_entry->dims, sizeof(c->dims)) != 0 || c->dims[0] != n ||
        c->dims[3] != 3)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s and %s should both be [%d,H,W,3]",
                        svr_safetensors_path(g->file), prev, cur, n);
    for (int i = 0; i < n; i++)
        weights[i] = svr_overlap_weight(n, i, true);
    SVR_TRY(verify_tensor(run, g, weights_name, weights, (size_t) n, &limit, err));
    SVR_TRY(golden_floats(g, prev, &c->prev, err));
    SVR_TRY(golden_floats(g, cur, &c->cur, err));
    c->out = g_new0(float, svr_safetensors_elems(prev_entry));
    SVR_TRY(create_phases(run, &networks, c->dims, &c->phases, err));
    SVR_TRY(device_run(&run->device, run_blend, c, NULL, err));
    return verify_tensor(run, g, out, c->out, svr_safetensors_elems(prev_entry), &limit, err);
}

svr_status verify_pipe_blend(verify_run *run, const golden *g, svr_error *err)
{
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        blend_case c = {0};
        svr_status status;
        char part[8];
        int n;

        if (sscanf(svr_safetensors_at(g->file, i)->name, "n%d.%7s", &n, part) != 2 ||
            strcmp(part, "prev") != 0 || n < 1)
            continue;
        status = blend_frames(run, g, n, &c, err);
        svr_phases_destroy(c.phases);
        g_free(c.prev);
        g_free(c.cur);
        g_free(c.out);
        SVR_TRY(status);
    }
    return SVR_OK;
}

/* ------------------------------------------------------------------------------ pipe_resize */

/* Frames through svr_pre: to what the network sees, or (area) to the unit picture. */
typedef struct resize_case {
    svr_pre *pre;
    svr_dtype storage;
    bool area;
    const uint8_t *frame;
    int64_t dims[4]; /* result */
    float *out;
} resize_case;

static svr_status run_resize(void *user, svr_exec *exec, svr_error *err)
{
    resize_case *c = (resize_case *) user;
    svr_tensor y;

    SVR_TRY(svr_exec_alloc(exec, c->area ? SVR_F32 : c->storage, 4, c->dims, &y, err));
    if (c->area) {
        svr_tensor rgb = svr_tensor_3d(y.data, SVR_F32, c->dims[1], c->dims[2], 3);

        SVR_TRY(svr_pre_unit(exec, c->pre, c->frame, &rgb, NULL, err));
    } else {
        SVR_TRY(svr_pre_model(exec, c->pre, c->frame, &y, err));
    }
    return device_get(exec->backend, &y, c->out, err);
}

/* Centre cut of an area-resized picture to multiples of the grid, as model values; the offset is
 * rounded half to even. */
static void cut_centre(const resize_case *c, int64_t height, int64_t width, float *cut)
{
    int64_t top = (int64_t) rint((double) (c->dims[1] - height) / 2.0);
    int64_t left = (int64_t) rint((double) (c->dims[2] - width) / 2.0);

    for (int64_t y = 0; y < height; y++)
        for (int64_t i = 0; i < width * 3; i++)
            cut[y * width * 3 + i] = 2.0f * c->out[((top + y) * c->dims[2] + left) * 3 + i] - 1.0f;
}

/* `in` [T,h,w,3] holds the frames. */
static svr_status resize_frames(verify_run *run, const golden *g, const char *name,
                                const svr_safetensors_entry *in, const svr_size_plan *plan,
                                resize_case *c, svr_error *err)
{
    /* rounding of values in [-1,1] to the storage type comes on top */
    static const verify_limit limits[] = {[SVR_F32] = {.max_abs = 3e-5},
                                          [SVR_F16] = {.max_abs = 0x1p-11},
                                          [SVR_BF16] = {.max_abs = 0x1p-8}};
    svr_size last = plan->resize[plan->resizes - 1];
    svr_size size = c->area ? last : plan->padded;
    int64_t height = c->area ? size.height / GRID * GRID : size.height;
    int64_t width = c->area ? size.width / GRID * GRID : size.width;
    int64_t dims[4] = {in->dims[0], height, width, 3}, n = height * width * 3;
    g_autofree float *frames = g_new(float, (size_t) (dims[0] * n));
    g_autofree float *planes = NULL;

    memcpy(c->dims, (const int64_t[4]){1, size.height, size.width, 3}, sizeof(c->dims));
    c->out = g_new0(float, (size_t) (c->dims[1] * c->dims[2] * 3));
    for (int64_t i = 0; i < dims[0]; i++) {
        c->frame = (const uint8_t *) in->data + i * in->dims[1] * in->dims[2] * 3;
        SVR_TRY(device_run(&run->device, run_resize, c, NULL, err));
        if (c->area)
            cut_centre(c, height, width, frames + i * n);
        else
            memcpy(frames + i * n, c->out, (size_t) n * sizeof(float));
    }
    planes = golden_permute(frames, dims, (const int[4]){3, 0, 1, 2});
    return verify_tensor(run, g, name, planes, (size_t) (dims[0] * n),
                         &limits[c->area ? SVR_F32 : run->dtype], err);
}

static svr_status resize_case_run(verify_run *run, const golden *g, const char *prefix,
                                  svr_error *err)
{
    g_autofree char *in = g_strconcat(prefix, "in_u8_thwc", NULL);
    g_autofree char *out = g_strconcat(prefix, "out_cthw", NULL);
    g_autofree char *params_name = g_strconcat(prefix, "kind_a_b", NULL);
    const svr_safetensors_entry *entry;
    svr_video_info info = {.format = SVR_PIXEL_RGB};
    svr_size_plan plan;
    resize_case c = {.storage = run->dtype};
    int params[3];
    svr_status status;

    SVR_TRY(golden_entry(g, in, 4, &entry, err));
    SVR_TRY(golden_few_ints(g, params_name, 3, params, err));
    if (entry->dtype != SVR_U8 || entry->dims[3] != 3)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s should be frames [T,H,W,3] of U8",
                        svr_safetensors_path(g->file), in);
    info.height = (int) entry->dims[1];
    info.width = (int) entry->dims[2];
    c.area = params[0] == 1;
    if (c.area)
        plan = svr_size_plan_exact(
            svr_size_area((svr_size){info.width, info.height}, params[2], params[1]), GRID);
    else
        plan = svr_size_plan_short_side((svr_size){info.width, info.height}, params[1], params[2],
                                        1, GRID);
    SVR_TRY(svr_pre_create(run->backend, &info, &plan, &c.pre, err));
    status = resize_frames(run, g, out, entry, &plan, &c, err);
    svr_pre_destroy(c.pre);
    g_free(c.out);
    return status;
}

svr_status verify_pipe_resize(verify_run *run, const golden *g, svr_error *err)
{
    g_auto(GStrv) prefixes = golden_prefixes(g, "in_u8_thwc");

    for (char **prefix = prefixes; *prefix; prefix++)
        SVR_TRY(resize_case_run(run, g, *prefix, err));
    return SVR_OK;
}

/* ------------------------------------------------------------------------------- pipe_alpha */

typedef struct alpha_case {
    int64_t frames, in_h, in_w, out_h, out_w;
    float *alpha, *rgb; /* [T,h,w] and channels-last [T,H,W,3] */
    svr_resampler *resampler;
    bool mask_like, negative_rgb;
    float *out, *edges;
} alpha_case;

static svr_status run_alpha(void *user, svr_exec *exec, svr_error *err)
{
    alpha_case *c = (alpha_case *) user;
    svr_tensor small, large;
    svr_alpha_guide_args args = {.mask_like = c->mask_like, .negative_rgb = c->negative_rgb};
    svr_lincomb_args clamp = {.alpha = 1.0f, .clamp = true, .lo = 0.0f, .hi = 1.0f};

    SVR_TRY(device_put(exec, c->alpha, svr_tensor_4d(NULL, SVR_F32, c->frames, c->in_h, c->in_w, 1),
                       &small, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, SVR_DIMS(c->frames, c->out_h, c->out_w, 1), &large, err));
    SVR_TRY(svr_resampler_run(exec, c->resampler, &small, &large, err));
    clamp.a = clamp.y = large;
    SVR_TRY(svr_op_lincomb(exec, &clamp, err));
    args.alpha = svr_tensor_3d(large.data, SVR_F32, c->frames, c->out_h, c->out_w);
    SVR_TRY(device_put(exec, c->rgb, svr_tensor_4d(NULL, SVR_F32, c->frames, c->out_h, c->out_w, 3),
                       &args.rgb, err));
    SVR_TRY(svr_exec_alloc(exec, SVR_F32, 3, args.alpha.dims, &args.y, err));
    if (c->mask_like)
        SVR_TRY(svr_exec_alloc(exec, SVR_F32, 3, args.alpha.dims, &args.edges, err));
    SVR_TRY(svr_op_alpha_guide(exec, &args, err));
    if (c->mask_like)
        SVR_TRY(device_get(exec->backend, &args.edges, c->edges, err));
    return device_get(exec->backend, &args.y, c->out, err);
}

/* Nearly all of a mask is (almost) transparent or opaque. */
static bool is_mask(const float *alpha, size_t n)
{
    size_t extreme = 0;

    for (size_t i = 0; i < n; i++)
        extreme += alpha[i] < 0.1f || alpha[i] > 0.9f;
    return (double) extreme > 0.95 * (double) n;
}

static bool has_negative(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (values[i] < 0)
            return true;
    return false;
}

static svr_status read_alpha(const golden *g, const char *alpha, const char *rgb, alpha_case *c,
                             svr_error *err)
{
    const svr_safetensors_entry *alpha_entry, *rgb_entry;
    g_autofree float *planes = NULL;

    SVR_TRY(golden_entry(g, alpha, 4, &alpha_entry, err));
    SVR_TRY(golden_entry(g, rgb, 4, &rgb_entry, err));
    if (alpha_entry->dims[1] != 1 || rgb_entry->dims[1] != 3 ||
        alpha_entry->dims[0] != rgb_entry->dims[0])
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s should be [T,1,h,w] and %s [T,3,H,W]",
                        svr_safetensors_path(g->file), alpha, rgb);
    c->frames = alpha_entry->dims[0];
    c->in_h = alpha_entry->dims[2];
    c->in_w = alpha_entry->dims[3];
    c->out_h = rgb_entry->dims[2];
    c->out_w = rgb_entry->dims[3];
    SVR_TRY(golden_floats(g, alpha, &c->alpha, err));
    SVR_TRY(golden_floats(g, rgb, &planes, err));
    c->rgb = golden_permute(planes, rgb_entry->dims, (const int[4]){0, 2, 3, 1});
    c->mask_like = is_mask(c->alpha, svr_safetensors_elems(alpha_entry));
    c->negative_rgb = has_negative(c->rgb, svr_safetensors_elems(rgb_entry));
    return SVR_OK;
}

static svr_status alpha_planes(verify_run *run, const golden *g, const char *prefix, int picture,
                               alpha_case *c, svr_error *err)
{
    static const verify_limit gradient = {.max_abs = 1e-5}, edge = {.max_abs = 1.0 / 255.0};
    /* thresholds flip single pixels */
    static const verify_limit mask = {.share = 5e-3, .share_from = 1.0 / 255.0};
    g_autofree char *alpha = g_strconcat(prefix, "alpha_in", NULL);
    g_autofree char *out = g_strconcat(prefix, "out", NULL);
    g_autofree char *rgb = g_strdup_printf("a%d.rgb_hi", picture);
    g_autofree char *edges = g_strdup_printf("a%d.edges", picture);
    size_t n;

    SVR_TRY(read_alpha(g, alpha, rgb, c, err));
    n = (size_t) (c->frames * c->out_h * c->out_w);
    c->out = g_new0(float, n);
    c->edges = g_new0(float, n);
    SVR_TRY(svr_resampler_create(run->backend, (svr_size){(int) c->in_w, (int) c->in_h},
                                 (svr_size){(int) c->out_w, (int) c->out_h}, &c->resampler, err));
    SVR_TRY(device_run(&run->device, run_alpha, c, NULL, err));
    if (c->mask_like && golden_has(g, edges))
        SVR_TRY(verify_tensor(run, g, edges, c->edges, n, &edge, err));
    return verify_tensor(run, g, out, c->out, n, c->mask_like ? &mask : &gradient, err);
}

svr_status verify_pipe_alpha(verify_run *run, const golden *g, svr_error *err)
{
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        const char *name = svr_safetensors_at(g->file, i)->name;
        g_autofree char *prefix = NULL;
        alpha_case c = {0};
        int picture, alpha;
        svr_status status;

        if (!g_str_has_suffix(name, ".alpha_in") || sscanf(name, "a%d.%d.", &picture, &alpha) != 2)
            continue;
        prefix = g_strdup_printf("a%d.%d.", picture, alpha);
        status = alpha_planes(run, g, prefix, picture, &c, err);
        svr_resampler_destroy(c.resampler);
        g_free(c.alpha);
        g_free(c.rgb);
        g_free(c.out);
        g_free(c.edges);
        SVR_TRY(status);
    }
    return SVR_OK;
}

/* ------------------------------------------------------------------------------- pipe_noise */

typedef struct noise_case {
    svr_noise_args args;
    int64_t dims[4];
    float *out;
} noise_case;

static svr_status run_noise(void *user, svr_exec *exec, svr_error *err)
{
    noise_case *c = (noise_case *) user;

    SVR_TRY(svr_exec_alloc(exec, SVR_F32, 4, c->dims, &c->args.y, err));
    SVR_TRY(svr_op_noise(exec, &c->args, err));
    return device_get(exec->backend, &c->args.y, c->out, err);
}

svr_status verify_pipe_noise(verify_run *run, const golden *g, svr_error *err)
{
    static const verify_limit limit = {.max_abs = 2e-5};
    static const char *const streams[] = {
        [SVR_NOISE_BASE] = "noise", [SVR_NOISE_AUGMENT] = "stream1", [SVR_NOISE_INPUT] = "stream2"};
    g_autofree int64_t *seed = NULL;
    int origin[3];

    SVR_TRY(golden_ints(g, "seed", &seed, err));
    SVR_TRY(golden_few_ints(g, "t0_y0_x0", 3, origin, err));
    for (uint32_t s = 0; s < G_N_ELEMENTS(streams); s++) {
        const svr_safetensors_entry *entry;
        noise_case c = {.args = {.seed = (uint64_t) seed[0],
                                 .stream = s,
                                 .frame0 = (uint32_t) origin[0],
                                 .y0 = (uint32_t) origin[1],
                                 .x0 = (uint32_t) origin[2]}};
        g_autofree float *out = NULL;

        if (!golden_has(g, streams[s]))
            continue;
        SVR_TRY(golden_entry(g, streams[s], 4, &entry, err));
        memcpy(c.dims, entry->dims, sizeof(c.dims));
        c.out = out = g_new0(float, svr_safetensors_elems(entry));
        SVR_TRY(device_run(&run->device, run_noise, &c, NULL, err));
        SVR_TRY(verify_tensor(run, g, streams[s], out, svr_safetensors_elems(entry), &limit, err));
    }
    return SVR_OK;
}
