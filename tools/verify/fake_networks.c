#include "verify/fake_networks.h"

#include "verify/device.h"

#include <math.h>

enum { SPACE = 8, TIME = 4, CHANNELS = 16, GRID = 16 };

static svr_status store(svr_exec *exec, const float *values, const svr_tensor *out, svr_error *err)
{
    g_autofree void *raw = g_malloc(svr_tensor_bytes(out));

    svr_from_f32(values, out->dtype, raw, (size_t) svr_tensor_elems(out));
    return svr_backend_upload(exec->backend, out->data, raw, svr_tensor_bytes(out), err);
}

/* Mean of channel `c` over an 8x8 block of the video frames that latent frame `f` stands for. */
static float block_mean(const float *x, const int64_t dims[4], const int64_t at[3], int c)
{
    int64_t first = at[0] == 0 ? 0 : 1 + (at[0] - 1) * TIME, frames = at[0] == 0 ? 1 : TIME;
    double sum = 0;

    for (int64_t t = first; t < first + frames; t++)
        for (int64_t y = at[1] * SPACE; y < (at[1] + 1) * SPACE; y++)
            for (int64_t i = at[2] * SPACE; i < (at[2] + 1) * SPACE; i++)
                sum += x[((t * dims[1] + y) * dims[2] + i) * 3 + c];
    return (float) (sum / (double) (frames * SPACE * SPACE));
}

/* Channels 0..2: block means p.  3..5: p of the left neighbour (around the border) / 2 - 1/4. */
static svr_status encode(void *user, svr_exec *exec, svr_tensor *x, const svr_tensor *latent,
                         svr_error *err)
{
    g_autofree float *in = NULL, *out = NULL;
    int64_t t = latent->dims[0], h = latent->dims[1], w = latent->dims[2];

    (void) user;
    SVR_TRY(device_get_new(exec->backend, x, &in, err));
    out = g_new0(float, (size_t) svr_tensor_elems(latent));
    for (int64_t n = 0; n < t * h * w; n++) {
        int64_t at[3] = {n / (h * w), n / w % h, n % w};

        for (int c = 0; c < 3; c++) {
            float mean = block_mean(in, x->dims, at, c);
            int64_t right = n - at[2] + (at[2] + 1) % w;

            out[n * CHANNELS + c] = mean;
            out[right * CHANNELS + 3 + c] = 0.5f * mean - 0.25f;
        }
    }
    svr_exec_free(exec, x);
    return store(exec, out, latent, err);
}

/* v = x_t - f(cond): one step gives f(cond) whatever the noise was. */
static svr_status predict(void *user, svr_exec *exec, const svr_tensor *cond,
                          const svr_prediction *p, svr_error *err)
{
    size_t n = (size_t) svr_tensor_elems(p->v);
    g_autofree float *x = NULL, *c = NULL, *out = NULL;

    (void) user;
    SVR_TRY(device_get_new(exec->backend, p->x_t, &x, err));
    SVR_TRY(device_get_new(exec->backend, cond, &c, err));
    out = g_new(float, n);
    for (size_t i = 0; i < n; i++) {
        size_t row = i - i % CHANNELS;
        float before = c[row + (i - row + CHANNELS - 1) % CHANNELS];

        out[i] = x[i] - (0.9f * c[i] + 0.05f * before + (p->negative ? -0.02f : 0.02f));
    }
    return store(exec, out, p->v, err);
}

/* Nearest neighbour of channels 0..2 with a ripple of channels 3..5. */
static svr_status decode(void *user, svr_exec *exec, const svr_tensor *latent, int64_t frames,
                         svr_tensor *y, svr_error *err)
{
    svr_tensor wanted;
    g_autofree float *z = NULL, *out = NULL;
    int64_t h = latent->dims[1], w = latent->dims[2], n = 0;

    (void) user;
    SVR_TRY(svr_exec_alloc(exec, y->dtype, y->rank, y->dims, y, err));
    SVR_TRY(device_get_new(exec->backend, latent, &z, err));
    wanted = svr_tensor_slice(y, 0, frames);
    out = g_new(float, (size_t) svr_tensor_elems(&wanted));
    for (int64_t t = 0; t < frames; t++)
        for (int64_t i = 0; i < y->dims[1]; i++)
            for (int64_t j = 0; j < y->dims[2]; j++) {
                int64_t frame = t == 0 ? 0 : 1 + (t - 1) / TIME;
                const float *at = z + ((frame * h + i / SPACE) * w + j / SPACE) * CHANNELS;
                float ripple =
                    0.2f * sinf(0.7f * (float) i + 0.3f * (float) t) * cosf(0.9f * (float) j);

                for (int c = 0; c < 3; c++)
                    out[n++] = at[c] + at[3 + c] * ripple;
            }
    return store(exec, out, &wanted, err);
}

svr_networks fake_networks(void *user)
{
    return (svr_networks){.user = user,
                          .storage = SVR_F32,
                          .spatial_factor = SPACE,
                          .temporal_factor = TIME,
                          .grid_multiple = GRID,
                          .latent_channels = CHANNELS,
                          .has_negative = true,
                          .encode = encode,
                          .predict = predict,
                          .decode = decode};
}
