#include "session.h"

#include "check.h"
#include "dit/window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const session_limits session_f32 = {SVR_F32, 5e-5, 5e-6, 0.0};

void session_check_values(const char *name, const float *got, const float *want, size_t count,
                          const session_limits *limit)
{
    golden_error error = golden_compare(got, want, count);
    bool good = (limit->max_abs == 0.0 || error.max <= limit->max_abs) &&
                error.rel_l2 <= limit->rel_l2 &&
                (limit->max_std == 0.0 || error.max_std <= limit->max_std);

    if (!good)
        fprintf(stderr, "%s: max abs %g, rel l2 %g, max/std %g\n", name, error.max, error.rel_l2,
                error.max_std);
    CHECK(good);
}

void session_open_quantized(session *s, svr_safetensors **file, const char *dir,
                            const char *const names[2], svr_dtype storage, svr_dtype factors)
{
    const char *variant = names[0], *name = names[1];
    svr_error err = {0};
    svr_dit_config config;
    char path[64];

    *s = (session){0};
    snprintf(path, sizeof(path), "dit_%s_tiny_a.%s", variant, name);
    case_open(&s->input, dir, path);
    device_open(&s->device);
    svr_weights *weights = weights_open(dir, variant, s->input.windows, file, &config);
    network_open_quantized(&s->network, &s->device, &config, weights, storage, factors);
    network_load(&s->network, 0, svr_dit_groups(&config));
    CHECK_OK(svr_dit_condition_create(s->device.backend, s->network.dit, s->input.timestep,
                                      &(svr_dit_text){s->input.text, s->input.text_len},
                                      &s->condition, &err),
             err);
    CHECK_OK(svr_dit_geometry_create(s->device.backend, s->network.dit, s->input.latent,
                                     s->input.text_len, &s->geometry, &err),
             err);
    const int *l = s->input.latent;
    const int64_t dims[] = {l[0], l[1], l[2], config.out_channels};
    s->io = (svr_dit_io){.condition = s->condition, .geometry = s->geometry};
    s->io.x_t = device_tensor(&s->device, storage, 4, dims, s->input.x_t);
    s->io.cond = device_tensor(&s->device, storage, 4, dims, s->input.cond);
    CHECK_OK(svr_exec_alloc(&s->device.exec, SVR_F32, 4, dims, &s->io.v, &err), err);
}

void session_open(session *s, svr_safetensors **file, const char *dir, const char *variant,
                  const char *name, svr_dtype storage)
{
    session_open_quantized(s, file, dir, (const char *const[]){variant, name}, storage, SVR_F32);
}

void session_close(session *s, svr_safetensors *file)
{
    svr_dit_geometry_destroy(s->geometry);
    svr_dit_condition_destroy(s->condition);
    network_close(&s->network);
    device_close(&s->device);
    case_close(&s->input);
    svr_safetensors_close(file);
}

/* Rows of window 0 of the video, then all of the text, of the q or k part (or the heads of an
 * attention result, parts = 1) against a golden [n+L, heads, hd]. */
typedef struct window_view {
    session *session;
    int layer, part, parts;
} window_view;

static int first_window(const window_view *view, int32_t **order)
{
    svr_error err = {0};
    svr_windows windows;
    const svr_dit_config *config = svr_dit_get_config(view->session->network.dit);
    const int *latent = view->session->input.latent;
    const int grid[3] = {latent[0], latent[1] / 2, latent[2] / 2};
    svr_arena *arena = svr_arena_create();

    CHECK_OK(svr_windows_make(arena, grid, config->windows, view->layer % 2 == 1, &windows, &err),
             err);
    int count = windows.offsets[1];
    *order = malloc((size_t) count * sizeof(int32_t));
    CHECK(*order != NULL);
    memcpy(*order, windows.order, (size_t) count * sizeof(int32_t));
    svr_arena_destroy(arena);
    return count;
}

static void check_window(const window_view *view, const char *golden, const svr_tensor *tensor,
                         bool text)
{
    session *s = view->session;
    const svr_dit_config *config = svr_dit_get_config(s->network.dit);
    size_t width = (size_t) config->heads * (size_t) config->head_dim, total;
    int32_t *order;
    int count = first_window(view, &order);
    float *got = device_floats(&s->device, tensor);
    float *want = golden_floats(s->input.file, golden, &total);
    size_t rows = text ? (size_t) s->input.text_len : (size_t) count;

    CHECK(total == ((size_t) count + (size_t) s->input.text_len) * width);
    for (size_t i = 0; i < rows; i++) {
        size_t row = text ? i : (size_t) order[i];
        const float *mine = got + (row * (size_t) view->parts + (size_t) view->part) * width;
        size_t at = text ? (size_t) count + i : i;
        session_check_values(golden, mine, want + at * width, width, &session_f32);
    }
    s->compared++;
    free(order);
    free(got);
    free(want);
}

/* q, k and o of window 0; o only of the video, for the text's is a mean over windows here. */
static void check_windows(session *s, const char *name, const svr_tensor *value)
{
    window_view view = {s, 0, 0, 3};
    char golden[64], *what;

    if (strncmp(name, "block", 5) != 0)
        return;
    view.layer = (int) strtol(name + 5, &what, 10);
    CHECK(*what++ == '.');
    bool text = strcmp(what, "qkv.txt") == 0;
    for (; (text || strcmp(what, "qkv.vid") == 0) && view.part < 2; view.part++) {
        snprintf(golden, sizeof(golden), "block%d.win0.%c", view.layer, "qk"[view.part]);
        if (golden_has(s->input.file, golden))
            check_window(&view, golden, value, text);
    }
    snprintf(golden, sizeof(golden), "block%d.win0.o", view.layer);
    view.part = 0;
    view.parts = 1;
    if (strcmp(what, "attn.vid") == 0 && golden_has(s->input.file, golden))
        check_window(&view, golden, value, false);
}

svr_status session_tap(void *user, const char *name, const svr_tensor *value, svr_error *err)
{
    session *s = user;
    size_t count;

    (void) err;
    check_windows(s, name, value);
    if (!golden_has(s->input.file, name))
        return SVR_OK;
    float *got = device_floats(&s->device, value);
    float *want = golden_floats(s->input.file, name, &count);
    CHECK(count == (size_t) svr_tensor_elems(value));
    session_check_values(name, got, want, count, &session_f32);
    s->compared++;
    free(got);
    free(want);
    return SVR_OK;
}

void session_check(session *s, const session_limits *limit)
{
    svr_error err = {0};
    size_t count;

    CHECK_OK(svr_dit_forward(&s->device.exec, s->network.dit, &s->io, &err), err);
    float *got = device_floats(&s->device, &s->io.v);
    float *want = golden_floats(s->input.file, "out", &count);
    CHECK(count == (size_t) svr_tensor_elems(&s->io.v));
    session_check_values("out", got, want, count, limit);
    free(got);
    free(want);
}
