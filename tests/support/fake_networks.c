#include "fake_networks.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <time.h>

enum { SPACE = 8, TIME = 4, CHANNELS = 16 };

/* Nothing may be touched in a dry run. */
static bool is_dry(const svr_exec *exec)
{
    return strcmp(exec->backend->name, "counting") == 0;
}

/* The frames that latent frame `t` stands for. */
static int64_t first_of(int64_t t)
{
    return t == 0 ? 0 : TIME * (t - 1) + 1;
}

static int64_t frames_of(int64_t t)
{
    return t == 0 ? 1 : TIME;
}

static float *at(const svr_tensor *t, int64_t frame, int64_t y, int64_t x)
{
    return (float *) t->data + ((frame * t->dims[1] + y) * t->dims[2] + x) * t->dims[3];
}

/* ------------------------------------------------------------------ encode */

static double block_mean(const svr_tensor *x, int64_t frame, const int64_t block[2], int colour)
{
    double sum = 0.0;

    for (int dy = 0; dy < SPACE; dy++)
        for (int dx = 0; dx < SPACE; dx++)
            sum += (double) at(x, frame, block[0] * SPACE + dy, block[1] * SPACE + dx)[colour];
    return sum / (SPACE * SPACE);
}

static void encode_pixel(fake_kind kind, const svr_tensor *x, int64_t t, const int64_t block[2],
                         float *out)
{
    int64_t frames = frames_of(t);

    memset(out, 0, CHANNELS * sizeof *out);
    for (int64_t f = 0; f < frames; f++) {
        for (int c = 0; c < 3; c++) {
            double mean = block_mean(x, first_of(t) + f, block, c);

            if (kind == FAKE_IDENTITY)
                out[3 * f + c] = (float) mean;
            else
                out[c] += (float) (mean / (double) frames);
        }
    }
}

/* Channels 3..5 from the left neighbour, around the edge. */
static void encode_neighbours(const svr_tensor *latent)
{
    int64_t w = latent->dims[2];

    for (int64_t t = 0; t < latent->dims[0]; t++)
        for (int64_t y = 0; y < latent->dims[1]; y++)
            for (int64_t x = 0; x < w; x++)
                for (int c = 0; c < 3; c++)
                    at(latent, t, y, x)[3 + c] =
                        0.5f * at(latent, t, y, (x + w - 1) % w)[c] - 0.25f;
}

static svr_status encode(void *user, svr_exec *exec, svr_tensor *x, const svr_tensor *latent,
                         svr_error *err)
{
    const fake_networks *fake = user;

    assert(x->dims[0] == first_of(latent->dims[0]) && x->dims[1] == SPACE * latent->dims[1]);
    SVR_TRY(svr_exec_poll(exec, err));
    for (int64_t t = 0; !is_dry(exec) && t < latent->dims[0]; t++)
        for (int64_t i = 0; i < latent->dims[1]; i++)
            for (int64_t j = 0; j < latent->dims[2]; j++)
                encode_pixel(fake->kind, x, t, (int64_t[2]){i, j}, at(latent, t, i, j));
    if (fake->kind == FAKE_GOLDEN && !is_dry(exec))
        encode_neighbours(latent);
    svr_exec_free(exec, x);
    return SVR_OK;
}

/* ------------------------------------------------------------------ predict */

/* Sleeps in small steps, as a network polls. */
static svr_status spend(svr_exec *exec, int ms, svr_error *err)
{
    const struct timespec step = {0, 1000000};

    for (int i = 0; i < ms; i++) {
        SVR_TRY(svr_exec_poll(exec, err));
        nanosleep(&step, NULL);
    }
    return SVR_OK;
}

static svr_status count_prediction(fake_networks *fake, svr_error *err)
{
    if (++fake->predictions != fake->fail_at)
        return SVR_OK;
    return SVR_FAIL(err, fake->fail_with ? fake->fail_with : SVR_ERR_UNSUPPORTED,
                    "the fake network fails at prediction %d, as it was told", fake->predictions);
}

static svr_status predict(void *user, svr_exec *exec, const svr_tensor *cond,
                          const svr_prediction *p, svr_error *err)
{
    fake_networks *fake = user;
    const float *x = p->x_t->data, *c = cond->data;
    float *out = p->v->data, text = p->negative ? -0.02f : 0.02f;

    if (is_dry(exec))
        return SVR_OK;
    SVR_TRY(count_prediction(fake, err));
    SVR_TRY(spend(exec, fake->predict_ms, err));
    for (int64_t i = 0; i < svr_tensor_elems(p->v); i += CHANNELS)
        for (int64_t k = 0; k < CHANNELS; k++)
            out[i + k] =
                fake->kind == FAKE_IDENTITY
                    ? x[i + k] - c[i + k]
                    : x[i + k] - (0.9f * c[i + k] + 0.05f * c[i + (k + 15) % CHANNELS] + text);
    if (fake->predictions == fake->overflow_at)
        out[0] = INFINITY;
    return SVR_OK;
}

/* ------------------------------------------------------------------ decode */

static void decode_pixel(fake_kind kind, const float *z, const int64_t t_f[2], const int64_t y_x[2],
                         float *out)
{
    double ripple;

    if (kind == FAKE_IDENTITY) {
        memcpy(out, z + 3 * t_f[1], 3 * sizeof *out);
        return;
    }
    ripple = sin(0.7 * (double) y_x[0] + 0.3 * (double) (first_of(t_f[0]) + t_f[1])) *
             cos(0.9 * (double) y_x[1]);
    for (int c = 0; c < 3; c++)
        out[c] = (float) ((double) z[c] + 0.2 * (double) z[3 + c] * ripple);
}

static void decode_frame(fake_kind kind, const svr_tensor *latent, const int64_t t_f[2],
                         const svr_tensor *y)
{
    for (int64_t i = 0; i < y->dims[1]; i++)
        for (int64_t j = 0; j < y->dims[2]; j++)
            decode_pixel(kind, at(latent, t_f[0], i / SPACE, j / SPACE), t_f, (int64_t[2]){i, j},
                         at(y, first_of(t_f[0]) + t_f[1], i, j));
}

static svr_status decode(void *user, svr_exec *exec, const svr_tensor *latent, int64_t frames,
                         svr_tensor *y, svr_error *err)
{
    fake_networks *fake = user;
    svr_tensor wanted;

    assert(y->dims[0] <= first_of(latent->dims[0]) && y->dims[1] <= SPACE * latent->dims[1]);
    SVR_TRY(svr_exec_poll(exec, err));
    SVR_TRY(svr_exec_alloc(exec, y->dtype, y->rank, y->dims, y, err));
    if (is_dry(exec))
        return SVR_OK;
    wanted = svr_tensor_slice(y, 0, frames);
    for (int64_t t = 0; t < latent->dims[0]; t++)
        for (int64_t f = 0; f < frames_of(t) && first_of(t) + f < frames; f++)
            decode_frame(fake->kind, latent, (int64_t[2]){t, f}, &wanted);
    if (++fake->pictures == fake->nan_at)
        ((float *) wanted.data)[svr_tensor_elems(&wanted) - 1] = NAN;
    return SVR_OK;
}

/* ------------------------------------------------------------------ */

static svr_status prepare(void *user, const int latent[3], svr_error *err)
{
    fake_networks *fake = user;

    (void) err;
    assert(latent[0] > 0 && latent[1] > 0 && latent[2] > 0);
    (void) latent;
    fake->prepared++;
    return SVR_OK;
}

void fake_networks_init(fake_networks *fake, fake_kind kind)
{
    *fake = (fake_networks){.kind = kind};
    fake->networks = (svr_networks){.user = fake,
                                    .storage = SVR_F32,
                                    .spatial_factor = SPACE,
                                    .temporal_factor = TIME,
                                    .grid_multiple = 16,
                                    .latent_channels = CHANNELS,
                                    .has_negative = true,
                                    .prepare = prepare,
                                    .encode = encode,
                                    .predict = predict,
                                    .decode = decode};
}
