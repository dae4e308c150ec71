/* Real networks: the nano model end to end against the oracles' goldens, and model files that do
 * not fit. */
#include "rig.h"

#include "pipeline/model.h"
#include "pipeline/upscaler.h"

#include "base/arena.h"
#include "base/json.h"

#include "check.h"
#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *data_dir, *model_dir;

static const char *join(const char *dir, const char *name)
{
    static char paths[8][1024];
    static int next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static svr_model_options nano_options(svr_dtype storage)
{
    return (svr_model_options){.dit_path = join(model_dir, "nano_dit.safetensors"),
                               .vae_path = join(model_dir, "nano_vae.safetensors"),
                               .storage = storage,
                               .steps = 1};
}

/* ------------------------------------------------------------------ goldens */

typedef struct nano_params {
    int short_side, max_edge, batch, overlap, prepend;
    svr_colour_method colour;
    uint64_t seed;
} nano_params;

static int64_t integer_of(const svr_json *json, const char *key)
{
    const svr_json *value = svr_json_get(json, key);

    CHECK(value && value->type == SVR_JSON_NUMBER && value->is_integer);
    return value->integer;
}

static svr_colour_method colour_of(const char *name)
{
    int m = 0;

    while (m < SVR_COLOUR_COUNT && strcmp(svr_colour_method_name((svr_colour_method) m), name) != 0)
        m++;
    CHECK(m < SVR_COLOUR_COUNT);
    return (svr_colour_method) m;
}

static nano_params read_params(const svr_safetensors *file)
{
    const char *text = svr_safetensors_metadata(file, "params");
    svr_arena *arena = svr_arena_create();
    const svr_json *json;
    svr_error err = {0};
    nano_params p;

    CHECK(text && arena);
    CHECK_OK(svr_json_parse(arena, text, strlen(text), &json, &err), err);
    p = (nano_params){.short_side = (int) integer_of(json, "short"),
                      .max_edge = (int) integer_of(json, "max_edge"),
                      .batch = (int) integer_of(json, "batch"),
                      .overlap = (int) integer_of(json, "overlap"),
                      .prepend = (int) integer_of(json, "prepend"),
                      .seed = (uint64_t) integer_of(json, "seed"),
                      .colour = colour_of(svr_json_get(json, "correction")->string)};
    svr_arena_destroy(arena);
    return p;
}

static svr_stream_options stream_options(const nano_params *p, const svr_safetensors *file)
{
    const svr_safetensors_entry *frames = golden_entry(file, "frames_u8_thwc");
    svr_size in = {(int) frames->dims[2], (int) frames->dims[1]};
    svr_size_plan sizes = svr_size_plan_short_side(in, p->short_side, p->max_edge, 1, 16);
    svr_stream_options o = rig_options(in, &sizes);

    o.temporal = svr_temporal_plan_make(p->batch, p->overlap, p->prepend);
    o.phases.colour = p->colour;
    o.phases.seed = p->seed;
    o.phases.reference_blend = true;
    return o;
}

static void check_part(const svr_safetensors *file, int batch, const char *part, const float *got,
                       double limit)
{
    char name[32];
    size_t count;

    snprintf(name, sizeof name, "b%d.%s", batch, part);
    if (!svr_safetensors_find(file, name))
        return;
    float *want = golden_floats(file, name, &count);
    CHECK(got != NULL);
    golden_error e = golden_compare(got, want, count);
    printf("#   %s max %.2e\n", name, e.max);
    CHECK(e.max <= limit);
    free(want);
}

/* Gates of the manifest. */
static void check_out(const svr_safetensors *file, svr_dtype storage, const rig_sequence *s)
{
    size_t count;
    float *want = golden_floats(file, "out", &count);

    CHECK(count == (size_t) s->count * s->out_elems);
    golden_error e = golden_compare(s->out, want, count);
    printf("#   %s out max %.2e, PSNR %.1f dB\n", svr_dtype_name(storage), e.max, e.psnr);
    if (storage == SVR_F32)
        CHECK(e.max <= 2e-5);
    else if (storage == SVR_F16)
        CHECK(e.psnr >= 64.0 && e.max <= 6e-3);
    else
        CHECK(e.psnr >= 47.0);
    free(want);
}

static void run_nano(svr_backend *backend, const svr_networks *networks,
                     const svr_safetensors *file)
{
    const svr_safetensors_entry *frames = golden_entry(file, "frames_u8_thwc");
    nano_params p = read_params(file);
    svr_stream_options o = stream_options(&p, file);
    rig_sequence s = {.frames = frames->data,
                      .count = (int) frames->dims[0],
                      .out_elems = svr_frame_bytes(&o.phases.out)};
    svr_stream *stream = NULL;
    svr_error err = {0};

    printf("# %s\n", svr_safetensors_path(file));
    s.frame_bytes = frames->bytes / (size_t) s.count;
    s.out = malloc((size_t) s.count * s.out_elems * sizeof(float));
    CHECK(s.out != NULL);
    CHECK_OK(svr_stream_create(backend, networks, &o, NULL, &stream, &err), err);
    CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &s, &err), err);
    for (int b = 0; networks->storage == SVR_F32 && b < 2; b++) {
        check_part(file, b, "latent", s.latent[b], 5e-5);
        check_part(file, b, "noise", s.noise[b], 2e-5);
        check_part(file, b, "v", s.v[b], 1e-4); /* |v| goes to 16 */
    }
    check_out(file, networks->storage, &s);
    CHECK(svr_stream_scratch_peak(stream) <= svr_stream_plan(stream)->scratch);
    for (int b = 1; b < s.batches; b++)
        CHECK(s.allocations[b] == s.allocations[0]);
    svr_stream_destroy(stream);
    rig_sequence_finish(&s);
    free(s.out);
}

static void check_nano(svr_dtype storage)
{
    static const char *const names[] = {"nano_e3", "nano_e4"};
    svr_model_options options = nano_options(storage);
    svr_backend *backend = rig_backend(0);
    svr_model *model = NULL;
    svr_error err = {0};

    CHECK_OK(svr_model_open(backend, &options, &model, &err), err);
    uint64_t bytes = svr_model_weight_bytes(model);
    CHECK_OK(svr_model_load(model, NULL, &err), err);
    CHECK(bytes > 0 && svr_backend_memory(backend).live[SVR_MEM_WEIGHTS] == bytes);
    for (int i = 0; i < 2; i++) {
        svr_safetensors *file = golden_open(data_dir, names[i]);

        run_nano(backend, svr_model_networks(model), file);
        svr_safetensors_close(file);
    }
    svr_model_close(model);
    CHECK(svr_backend_memory(backend).live_total == 0);
    svr_backend_destroy(backend);
}

static void test_nano_f32(void)
{
    check_nano(SVR_F32);
}

static void test_nano_f16(void)
{
    check_nano(SVR_F16);
}

static void test_nano_bf16(void)
{
    check_nano(SVR_BF16);
}

/* ------------------------------------------------------------------ plan */

/* The scratch of a full batch is exactly as planned. */
static void test_plan_is_exact(void)
{
    svr_model_options options = nano_options(SVR_F32);
    svr_size_plan sizes = svr_size_plan_exact((svr_size){48, 32}, 16);
    svr_stream_options o = rig_options((svr_size){24, 16}, &sizes);
    uint8_t frames[18 * 24 * 16 * 3];
    rig_sequence s = {
        .frames = frames, .frame_bytes = 24 * 16 * 3, .out_elems = 48 * 32 * 3, .count = 18};
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    svr_model *model = NULL;
    svr_error err = {0};

    for (size_t i = 0; i < sizeof frames; i++)
        frames[i] = (uint8_t) (i * 2654435761u >> 11);
    o.temporal = svr_temporal_plan_make(9, 0, 0);
    CHECK_OK(svr_model_open(backend, &options, &model, &err), err);
    CHECK_OK(svr_model_load(model, NULL, &err), err);
    CHECK_OK(svr_stream_create(backend, svr_model_networks(model), &o, NULL, &stream, &err), err);
    uint64_t ready = svr_backend_memory(backend).allocations;
    CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &s, &err), err);
    CHECK(s.batches == 2 && s.allocations[1] == ready);
    CHECK(svr_stream_scratch_peak(stream) == svr_stream_plan(stream)->scratch);
    svr_stream_destroy(stream);
    svr_model_close(model);
    svr_backend_destroy(backend);
    rig_sequence_finish(&s);
}

/* Batches with more latent grids than tables are kept: those of the short last batch are made anew.
 */
static void test_long_batches(void)
{
    enum { BATCH = 101, COUNT = BATCH + 5 };
    svr_model_options options = nano_options(SVR_F32);
    svr_size_plan sizes = svr_size_plan_exact((svr_size){16, 16}, 16);
    svr_stream_options o = rig_options((svr_size){16, 16}, &sizes);
    uint8_t *frames = calloc(COUNT, 16 * 16 * 3);
    rig_sequence s = {
        .frames = frames, .frame_bytes = 16 * 16 * 3, .out_elems = 16 * 16 * 3, .count = COUNT};
    svr_backend *backend = rig_backend(0);
    svr_stream *stream = NULL;
    svr_model *model = NULL;
    svr_error err = {0};

    CHECK(frames != NULL);
    o.temporal = svr_temporal_plan_make(BATCH, 0, 0);
    CHECK_OK(svr_model_open(backend, &options, &model, &err), err);
    CHECK_OK(svr_model_load(model, NULL, &err), err);
    CHECK_OK(svr_stream_create(backend, svr_model_networks(model), &o, NULL, &stream, &err), err);
    svr_memory_use ready = svr_backend_memory(backend);
    CHECK_OK(rig_run(stream, backend, &o.temporal, 0, &s, &err), err);
    CHECK(s.batches == 2 && s.allocations[0] == ready.allocations);
    CHECK(s.allocations[1] > ready.allocations);
    CHECK(svr_backend_memory(backend).peak_total == ready.peak_total);
    svr_stream_destroy(stream);
    svr_model_close(model);
    CHECK(svr_backend_memory(backend).live_total == 0);
    svr_backend_destroy(backend);
    rig_sequence_finish(&s);
    free(frames);
}

/* ------------------------------------------------------------------ files that do not fit */

static void check_refused(const svr_model_options *options, svr_status want, const char *word)
{
    svr_backend *backend = rig_backend(0);
    svr_model *model = NULL;
    svr_error err = {0};

    CHECK(svr_model_open(backend, options, &model, &err) == want);
    CHECK_TEXT(err.text, word);
    CHECK(model == NULL && svr_backend_memory(backend).live_total == 0);
    svr_backend_destroy(backend);
}

static void test_wrong_files(void)
{
    svr_model_options good = nano_options(SVR_F32), o = good;

    o.vae_path = good.dit_path;
    check_refused(&o, SVR_ERR_FORMAT, "DiT");
    o = good;
    o.dit_path = good.vae_path;
    check_refused(&o, SVR_ERR_FORMAT, "VAE");
    o = good;
    o.dit_path = join(model_dir, "no_such_file.safetensors");
    check_refused(&o, SVR_ERR_IO, "no_such_file");
    o = good;
    o.text_path = join(model_dir, "text_emb.safetensors");
    check_refused(&o, SVR_ERR_INVALID, "5120");
    check_refused(&o, SVR_ERR_INVALID, " 64");
    check_refused(&o, SVR_ERR_INVALID, "text-embedding");
    o = good;
    o.text_path = good.vae_path;
    check_refused(&o, SVR_ERR_INVALID, "`pos`");
    o = good;
    o.negative = true;
    check_refused(&o, SVR_ERR_INVALID, "cfg-scale");
    check_refused(&o, SVR_ERR_INVALID, "text-embedding");
    o = good;
    o.dit_path = join(data_dir, "goldens/dit_3b_tiny_a.weights.safetensors");
    check_refused(&o, SVR_ERR_INVALID, "text-embedding");
}

/* ------------------------------------------------------------------ loading */

/* Raises the flag as soon as a part is loaded. */
static void cancel_at_once(void *user, uint64_t done, uint64_t total)
{
    CHECK(done <= total);
    svr_cancel_set(user, true);
}

typedef struct progress_seen {
    uint64_t done, total;
} progress_seen;

static void watch_progress(void *user, uint64_t done, uint64_t total)
{
    progress_seen *seen = user;

    CHECK(done >= seen->done && done <= total);
    *seen = (progress_seen){done, total};
}

static void test_load_can_be_cancelled_and_repeated(void)
{
    svr_model_options options = nano_options(SVR_F32);
    svr_backend *backend = rig_backend(0);
    svr_cancel *cancel = svr_cancel_create();
    progress_seen seen = {0, 0};
    svr_model *model = NULL;
    svr_error err = {0};

    CHECK(cancel != NULL);
    CHECK_OK(svr_model_open(backend, &options, &model, &err), err);
    svr_model_watch(model, cancel_at_once, cancel);
    CHECK_FAILS(svr_model_load(model, cancel, &err), SVR_ERR_CANCELLED, err);
    CHECK(svr_backend_memory(backend).live_total == 0);
    svr_cancel_set(cancel, false);
    svr_model_watch(model, watch_progress, &seen);
    CHECK_OK(svr_model_load(model, cancel, &err), err);
    CHECK(seen.total == svr_model_weight_bytes(model) && seen.done == seen.total);
    svr_model_close(model);
    svr_cancel_destroy(cancel);
    svr_backend_destroy(backend);
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    char piece[4096];
    size_t n;

    CHECK(in && out);
    while ((n = fread(piece, 1, sizeof piece, in)) > 0)
        CHECK(fwrite(piece, 1, n, out) == n);
    CHECK(fclose(in) == 0 && fclose(out) == 0);
}

/* Shortened between opening and loading, as by a copy that begins anew: one error; complete again,
 * the same model loads. */
static void test_load_of_a_shortened_file(void)
{
    static const char copy[] = "test_model.tmp";
    svr_model_options options = nano_options(SVR_F16);
    const char *original = options.vae_path;
    svr_backend *backend = rig_backend(0);
    svr_model *model = NULL;
    svr_error err = {0};

    copy_file(original, copy);
    options.vae_path = copy;
    CHECK_OK(svr_model_open(backend, &options, &model, &err), err);
    CHECK(truncate(copy, 40000) == 0);
    CHECK(svr_model_load(model, NULL, &err) == SVR_ERR_IO);
    CHECK_TEXT(err.text, "test_model.tmp: tensor '");
    CHECK_TEXT(err.text, "the file is shorter than");
    CHECK(svr_backend_memory(backend).live_total == 0);
    svr_error_clear(&err);
    copy_file(original, copy);
    CHECK_OK(svr_model_load(model, NULL, &err), err);
    svr_model_close(model);
    svr_backend_destroy(backend);
    remove(copy);
}

/* Allocations 1, 2, … fail, one per run, until a run gets through. */
static void test_every_failing_allocation_is_clean(void)
{
    svr_model_options options = nano_options(SVR_F32);
    svr_size_plan sizes = svr_size_plan_exact((svr_size){32, 32}, 16);
    svr_stream_options o = rig_options((svr_size){16, 16}, &sizes);
    svr_status status = SVR_ERR_NO_MEM;
    int n = 1;

    for (; status != SVR_OK; n++) {
        svr_backend *backend = rig_backend((uint64_t) n);
        svr_stream *stream = NULL;
        svr_model *model = NULL;
        svr_error err = {0};

        CHECK_OK(svr_model_open(backend, &options, &model, &err), err);
        status = svr_model_load(model, NULL, &err);
        if (status == SVR_OK)
            status = svr_stream_create(backend, svr_model_networks(model), &o, NULL, &stream, &err);
        if (status != SVR_OK)
            CHECK_FAILS(status, SVR_ERR_NO_MEM, err);
        svr_stream_destroy(stream);
        svr_model_close(model);
        CHECK(svr_backend_memory(backend).live_total == 0);
        svr_backend_destroy(backend);
        CHECK(n < 200);
    }
    CHECK(n > 10);
}

/* ------------------------------------------------------------------ the public API */

static void test_public_api(void)
{
    svr_upscaler_options options;
    svr_stream_config c;
    svr_upscaler *u = NULL;
    svr_upscaler_stats stats;
    svr_error err = {0};
    uint8_t in[24 * 16 * 3], out[48 * 32 * 3];
    svr_frame in_frame = {.plane = {in}, .stride = {24 * 3}};
    svr_frame out_frame = {.plane = {out}, .stride = {48 * 3}};
    bool got;

    memset(in, 128, sizeof in);
    svr_upscaler_options_init(&options);
    options.backend = SVR_BACKEND_CPU;
    options.threads = 1;
    options.model_path = join(model_dir, "nano_dit.safetensors");
    options.vae_path = join(model_dir, "nano_vae.safetensors");
    CHECK_OK(svr_upscaler_create(&options, &u, &err), err);
    svr_stream_config_init(&c);
    c.in = (svr_video_info){.format = SVR_PIXEL_RGB, .width = 24, .height = 16};
    c.out = (svr_video_info){.format = SVR_PIXEL_RGB, .width = 48, .height = 32};
    c.cfg_scale = 2.0;
    CHECK_FAILS(svr_upscaler_configure(u, &c, &err), SVR_ERR_INVALID, err);
    c.cfg_scale = 1.0;
    CHECK_OK(svr_upscaler_configure(u, &c, &err), err);
    CHECK_OK(svr_upscaler_push(u, &in_frame, &err), err);
    CHECK_OK(svr_upscaler_drain(u, &err), err);
    CHECK_OK(svr_upscaler_pull(u, &out_frame, true, &got, &err), err);
    CHECK(got);
    for (size_t i = 0; i < sizeof out; i++)
        CHECK(abs(out[i] - 128) <= 12); /* grey stays grey */
    svr_upscaler_get_stats(u, &stats);
    CHECK(stats.memory.weights > 0 && stats.memory.scratch_peak <= stats.plan.scratch);
    svr_upscaler_destroy(u);
    options.vae_path = options.model_path;
    CHECK_FAILS(svr_upscaler_create(&options, &u, &err), SVR_ERR_FORMAT, err);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    data_dir = argv[1];
    model_dir = argv[2];
    RUN(test_nano_f32);
    RUN(test_nano_f16);
    RUN(test_nano_bf16);
    RUN(test_plan_is_exact);
    RUN(test_long_batches);
    RUN(test_wrong_files);
    RUN(test_load_can_be_cancelled_and_repeated);
    RUN(test_load_of_a_shortened_file);
    RUN(test_every_failing_allocation_is_clean);
    RUN(test_public_api);
    return check_done();
}
