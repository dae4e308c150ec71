/* The engine without GStreamer: upscales a painted picture to twice its size on the CPU and writes
 * both as PPM files.
 *
 *     cc engine.c $(pkg-config --cflags --libs seedvr2) -o engine
 *     ./engine $(pkg-config --variable=modeldir seedvr2) small.ppm large.ppm */
#include <pipeline/upscaler.h>

#include <stdio.h>
#include <stdlib.h>

enum { WIDTH = 64, HEIGHT = 48, SCALE = 2 };

/* Diagonal stripes on a gradient; packed RGB. */
static uint8_t *paint(const svr_video_info *info)
{
    uint8_t *data = malloc(svr_frame_bytes(info)), *pixel = data;

    for (int y = 0; data && y < info->height; y++)
        for (int x = 0; x < info->width; x++, pixel += 3) {
            pixel[0] = (uint8_t) (255 * x / info->width);
            pixel[1] = (uint8_t) (255 * y / info->height);
            pixel[2] = (x + y) / 8 % 2 ? 200 : 60;
        }
    return data;
}

static int write_ppm(const char *path, const svr_video_info *info, const uint8_t *data)
{
    FILE *file = fopen(path, "wb");
    int ok;

    ok = file && fprintf(file, "P6 %d %d 255\n", info->width, info->height) > 0 &&
         fwrite(data, 1, svr_frame_bytes(info), file) == svr_frame_bytes(info);
    if (file)
        ok = fclose(file) == 0 && ok;
    if (!ok)
        perror(path);
    return ok;
}

static svr_status open_engine(const char *models, svr_upscaler **out, svr_error *err)
{
    char model[4096], vae[4096];
    svr_upscaler_options options;

    snprintf(model, sizeof model, "%s/nano_dit.safetensors", models);
    snprintf(vae, sizeof vae, "%s/nano_vae.safetensors", models);
    svr_upscaler_options_init(&options);
    options.backend = SVR_BACKEND_CPU;
    options.model_path = model;
    options.vae_path = vae;
    return svr_upscaler_create(&options, out, err);
}

/* One frame through a stream of its own.  A film is the same: push and pull in turn, drain at the
 * end. */
static svr_status upscale(svr_upscaler *upscaler, const svr_stream_config *config, uint8_t *in,
                          uint8_t *out, svr_error *err)
{
    svr_frame small = svr_frame_packed(&config->in, in),
              large = svr_frame_packed(&config->out, out);
    bool got = false;
    svr_status status = svr_upscaler_configure(upscaler, config, err);

    if (status == SVR_OK)
        status = svr_upscaler_push(upscaler, &small, err);
    if (status == SVR_OK)
        status = svr_upscaler_drain(upscaler, err);
    if (status == SVR_OK)
        status = svr_upscaler_pull(upscaler, &large, true, &got, err);
    return status;
}

static svr_status run(const char *models, const svr_stream_config *config, uint8_t *in,
                      uint8_t *out, svr_error *err)
{
    svr_upscaler *upscaler = NULL;
    svr_upscaler_stats stats;
    svr_status status = open_engine(models, &upscaler, err);

    if (status != SVR_OK)
        return status;
    status = upscale(upscaler, config, in, out, err);
    svr_upscaler_get_stats(upscaler, &stats);
    if (status == SVR_OK)
        printf("%s: peak memory %.1f MB, planned %.1f MB\n", svr_upscaler_backend_name(upscaler),
               (double) stats.memory.peak / 1e6, (double) stats.plan.peak / 1e6);
    svr_upscaler_destroy(upscaler);
    return status;
}

int main(int argc, char **argv)
{
    svr_stream_config config;
    svr_error err = {.code = SVR_OK};
    uint8_t *in, *out;
    int ok;

    if (argc != 4) {
        fprintf(stderr, "usage: %s FOLDER-OF-MODELS SMALL.ppm LARGE.ppm\n", argv[0]);
        return 2;
    }
    svr_stream_config_init(&config);
    config.in = (svr_video_info){.format = SVR_PIXEL_RGB, .width = WIDTH, .height = HEIGHT};
    config.out =
        (svr_video_info){.format = SVR_PIXEL_RGB, .width = SCALE * WIDTH, .height = SCALE * HEIGHT};
    config.batch_size = 1;

    in = paint(&config.in);
    out = malloc(svr_frame_bytes(&config.out));
    ok = in && out && run(argv[1], &config, in, out, &err) == SVR_OK;
    if (err.code != SVR_OK)
        fprintf(stderr, "%s: %s\n", svr_status_name(err.code), err.text);
    else if (!ok)
        perror(argv[0]);
    else
        ok = write_ppm(argv[2], &config.in, in) && write_ppm(argv[3], &config.out, out);
    free(in);
    free(out);
    return ok ? 0 : 1;
}
