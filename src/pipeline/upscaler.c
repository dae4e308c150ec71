#include "pipeline/upscaler_internal.h"

#include "pipeline/backends.h"

#include <stdlib.h>
#include <string.h>

void svr_upscaler_options_init(svr_upscaler_options *options)
{
    memset(options, 0, sizeof *options);
    options->device = -1;
}

/* ------------------------------------------------------------------ life */

/* The precision that options ask for, in one way or the other. */
static svr_precision precision_of(const svr_upscaler_options *options)
{
    return options->quantization == SVR_QUANTIZATION_FP16   ? SVR_PRECISION_FP16
           : options->quantization == SVR_QUANTIZATION_BF16 ? SVR_PRECISION_BF16
                                                            : options->precision;
}

static svr_dtype storage_of(svr_precision precision, const svr_backend *backend)
{
    if (precision == SVR_PRECISION_AUTO)
        return strcmp(backend->name, "cpu") == 0 ? SVR_F32 : SVR_F16;
    return precision == SVR_PRECISION_FP16   ? SVR_F16
           : precision == SVR_PRECISION_BF16 ? SVR_BF16
                                             : SVR_F32;
}

static svr_status open_networks(svr_upscaler *u, const svr_upscaler_options *options,
                                svr_error *err)
{
    svr_model_options model = {.dit_path = options->model_path,
                               .vae_path = options->vae_path,
                               .text_path = options->text_path,
                               .storage = storage_of(precision_of(options), u->backend),
                               .quantization = options->quantization,
                               .steps = 1,
                               .log = &u->log};

    if (options->networks) {
        u->networks = options->networks;
        return SVR_OK;
    }
    if (!options->model_path || !options->vae_path)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "no model files: set model and vae-model to safetensors files");
    SVR_TRY(svr_model_open(u->backend, &model, &u->model, err));
    svr_model_watch(u->model, svr_upscaler_report_progress, u);
    u->networks = svr_model_networks(u->model);
    return SVR_OK;
}

/* All memory but the upscaler's own.  No worker runs any more. */
static void give_back(svr_upscaler *u)
{
    svr_batcher_destroy(u->batcher);
    svr_frame_queue_clear(&u->finished, u->stream ? svr_stream_finished(u->stream) : NULL);
    svr_stream_destroy(u->stream);
    svr_model_close(u->model);
    u->stream = NULL;
    u->batcher = NULL;
    u->model = NULL;
}

static void free_upscaler(svr_upscaler *u)
{
    svr_backend_destroy(u->backend);
    svr_cancel_destroy(u->cancel);
    pthread_cond_destroy(&u->changed);
    pthread_mutex_destroy(u->mutex);
    free(u);
}

/* An upscaler without a thread; owns `backend`. */
static svr_upscaler *new_upscaler(svr_backend *backend, const svr_upscaler_options *options)
{
    svr_upscaler *u = calloc(1, sizeof *u);

    if (!u)
        return NULL;
    u->cancel = svr_cancel_create();
    if (!u->cancel) {
        free(u);
        return NULL;
    }
    u->log = options->log;
    u->event = options->event;
    u->event_user = options->event_user;
    u->backend = backend;
    u->mutex = &u->mutex_storage;
    pthread_mutex_init(u->mutex, NULL);
    pthread_cond_init(&u->changed, NULL);
    return u;
}

svr_status svr_upscaler_create_on(svr_backend *backend, const svr_upscaler_options *options,
                                  svr_upscaler **out, svr_error *err)
{
    svr_upscaler *u = new_upscaler(backend, options);
    svr_status status;

    if (!u) {
        svr_backend_destroy(backend);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for an upscaler");
    }
    status = open_networks(u, options, err);
    if (status == SVR_OK && pthread_create(&u->thread, NULL, svr_upscaler_worker, u) != 0)
        status =
            SVR_FAIL(err, SVR_ERR_NO_MEM,
                     "no thread can be started for the upscaler; end other programs or raise the "
                     "limit of processes (ulimit -u)");
    if (status != SVR_OK) {
        give_back(u);
        free_upscaler(u);
        return status;
    }
    *out = u;
    return SVR_OK;
}

static svr_status check_options(const svr_upscaler_options *options, svr_error *err)
{
    if (options->backend < SVR_BACKEND_AUTO || options->backend > SVR_BACKEND_CUDA)
        return SVR_FAIL(err, SVR_ERR_INVALID, "backend %d; choose auto, cpu or cuda",
                        (int) options->backend);
    if (options->networks && options->backend != SVR_BACKEND_CPU)
        return SVR_FAIL(err, SVR_ERR_INVALID, "given networks need backend=cpu");
    if (options->precision < SVR_PRECISION_AUTO || options->precision > SVR_PRECISION_FP32)
        return SVR_FAIL(err, SVR_ERR_INVALID, "precision %d; choose auto, fp16, bf16 or fp32",
                        (int) options->precision);
    if ((unsigned) options->quantization >= SVR_QUANTIZATION_COUNT)
        return SVR_FAIL(
            err, SVR_ERR_INVALID,
            "quantization %d; choose auto-fp16, fp16, bf16, fp8, int8, int8-w8a8 or as-stored",
            (int) options->quantization);
    if (options->precision != SVR_PRECISION_AUTO && options->precision != precision_of(options))
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "quantization %s and precision contradict each other; leave precision at "
                        "auto",
                        svr_quantization_name(options->quantization));
    if (options->threads < 0)
        return SVR_FAIL(err, SVR_ERR_INVALID, "threads is %d; choose 0 (all cores) or more",
                        options->threads);
    if (options->device < -1)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "device is %d; choose a GPU from 0 up, or -1 for the first usable one",
                        options->device);
    return SVR_OK;
}

svr_status svr_upscaler_create(const svr_upscaler_options *options, svr_upscaler **out,
                               svr_error *err)
{
    const svr_cuda_options cuda = {.device = options->device,
                                   .context = options->cuda_context,
                                   .cache_folder = options->cache_folder};
    svr_backend *backend = NULL;

    SVR_TRY(check_options(options, err));
    SVR_TRY(
        svr_backend_open(options->backend, options->threads, &cuda, &options->log, &backend, err));
    return svr_upscaler_create_on(backend, options, out, err);
}

void svr_upscaler_destroy(svr_upscaler *u)
{
    if (!u)
        return;
    pthread_mutex_lock(u->mutex);
    svr_cancel_set(u->cancel, true);
    u->quit = true;
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(u->mutex);
    pthread_join(u->thread, NULL);
    give_back(u);
    svr_upscaler_report_closed(u);
    free_upscaler(u);
}

/* ------------------------------------------------------------------ configure */

/* Lock held.  Waits for the worker's answer; a request that it works on is waited for also after a
 * cancel, which is soon. */
static svr_status await_request(svr_upscaler *u, svr_error *err)
{
    svr_status status = SVR_OK;

    while (u->request.state == SVR_REQUEST_PENDING && status == SVR_OK) {
        status = svr_upscaler_check(u, err);
        if (status == SVR_OK)
            pthread_cond_wait(&u->changed, u->mutex);
    }
    while (u->request.state == SVR_REQUEST_RUNNING)
        pthread_cond_wait(&u->changed, u->mutex);
    if (status == SVR_OK && u->request.result.code != SVR_OK) {
        status = u->request.result.code;
        if (err)
            *err = u->request.result;
    }
    u->request.state = SVR_REQUEST_NONE;
    return status;
}

static svr_status check_sides(const svr_upscaler *u, const svr_stream_config *config,
                              svr_error *err)
{
    if ((config->in_on_device || config->out_on_device) && !svr_backend_shares_frames(u->backend))
        return SVR_FAIL(err, SVR_ERR_UNSUPPORTED,
                        "the %s backend takes and gives frames in host memory only: those in "
                        "device memory need backend=cuda",
                        u->backend->name);
    return SVR_OK;
}

svr_status svr_upscaler_configure(svr_upscaler *u, const svr_stream_config *config, svr_error *err)
{
    svr_stream_options options;
    svr_status status;

    SVR_TRY(check_sides(u, config, err));
    SVR_TRY(svr_stream_config_resolve(config, u->networks, &options, err));
    /* on the CPU what is offloaded stays in the same memory: only a budget is worth it */
    if (strcmp(u->backend->name, "cpu") == 0)
        options.memory.threshold = 0;
    if (config->temporal_overlap > 0 && options.temporal.overlap == 0)
        svr_log_write(&u->log, SVR_LOG_WARN, "pipeline",
                      "temporal-overlap %d is not smaller than batch-size %d and is not used",
                      config->temporal_overlap, config->batch_size);
    pthread_mutex_lock(u->mutex);
    status = svr_upscaler_check(u, err);
    if (status == SVR_OK && u->held > 0)
        status = SVR_FAIL(err, SVR_ERR_INVALID,
                          "%llu frames are still held: drain and pull them, or reset, before a new "
                          "configuration",
                          (unsigned long long) u->held);
    if (status == SVR_OK) {
        u->request = (svr_request){
            .state = SVR_REQUEST_PENDING, .options = options, .first_frame = config->first_frame};
        pthread_cond_broadcast(&u->changed);
        status = await_request(u, err);
    }
    pthread_mutex_unlock(u->mutex);
    return status;
}

/* ------------------------------------------------------------------ queries */

svr_status svr_upscaler_check(const svr_upscaler *u, svr_error *err)
{
    if (svr_cancel_raised(u->cancel))
        return SVR_FAIL(err, SVR_ERR_CANCELLED, "the upscaler was cancelled; reset it to go on");
    if (u->failure.code != SVR_OK && err)
        *err = u->failure;
    return u->failure.code;
}

svr_upscaler_stats svr_upscaler_snapshot(const svr_upscaler *u)
{
    svr_upscaler_stats stats = u->stats;

    if (u->batcher)
        stats.memory.host_frames = (uint64_t) svr_batcher_held(u->batcher) *
                                       svr_frame_store_host_bytes(svr_stream_sources(u->stream)) +
                                   (uint64_t) u->finished.count *
                                       svr_frame_store_host_bytes(svr_stream_finished(u->stream)) +
                                   svr_stream_cache_bytes(u->stream);
    return stats;
}

void svr_upscaler_get_stats(const svr_upscaler *u, svr_upscaler_stats *out)
{
    pthread_mutex_lock(u->mutex);
    *out = svr_upscaler_snapshot(u);
    pthread_mutex_unlock(u->mutex);
}

uint64_t svr_upscaler_held(const svr_upscaler *u)
{
    uint64_t held;

    pthread_mutex_lock(u->mutex);
    held = u->held;
    pthread_mutex_unlock(u->mutex);
    return held;
}

const char *svr_upscaler_backend_name(const svr_upscaler *u)
{
    return u->backend->name;
}
