/* Makes the streams that the checks look at. */
#include "selftest_engine.h"

#include <string.h>

const char *selftest_stream_name(selftest_stream stream)
{
    static const char *const names[SELFTEST_STREAMS] = {[SELFTEST_AUTO] = "auto",
                                                        [SELFTEST_AGAIN] = "auto again",
                                                        [SELFTEST_ECONOMY] = "economy",
                                                        [SELFTEST_EXTREME] = "extreme-economy",
                                                        [SELFTEST_BUDGET] = "auto with a budget",
                                                        [SELFTEST_SMALLEST] =
                                                            "auto with the smallest budget"};

    return names[stream];
}

bool selftest_worked(const selftest_run *run)
{
    return run->output != NULL;
}

uint64_t selftest_named_budget(const selftest_run *refused)
{
    const char *number = strrchr(refused->err.text, '(');
    char *end;
    uint64_t bytes = number ? g_ascii_strtoull(number + 1, &end, 10) : 0;

    return bytes > 0 && g_str_has_prefix(end, " bytes)") ? bytes : 0;
}

static void run_stream(selftest_state *s, selftest_stream stream, const svr_memory_request *memory)
{
    const selftest_request request = {*memory, SVR_COLOUR_LAB};
    selftest_run *run = &s->runs[stream], *first = &s->runs[SELFTEST_AUTO];
    svr_video_info out = selftest_output(s->setup);
    size_t bytes = svr_frame_bytes(&out) * (size_t) selftest_frames(s->setup);

    selftest_run_stream(s->setup, &request, s->clip, run);
    if (selftest_worked(run))
        s->psnr_db[stream] = selftest_psnr(run->output, first->output, bytes);
}

static void run_with_budget(selftest_state *s, selftest_stream stream, uint64_t bytes)
{
    run_stream(s, stream, &(svr_memory_request){.budget = bytes});
}

/* The first asks for what cannot work, so that the smallest budget is named. */
static void run_refused(selftest_state *s)
{
    const uint64_t step = (uint64_t) 1 << 20;
    selftest_request request = {{.budget = 1}, SVR_COLOUR_LAB};

    selftest_run_stream(s->setup, &request, s->clip, &s->none);
    s->smallest = selftest_named_budget(&s->none);
    if (s->smallest == 0)
        return;
    request.memory.budget = s->smallest > step ? s->smallest - step : 1;
    selftest_run_stream(s->setup, &request, s->clip, &s->below);
}

static void run_plain(selftest_state *s)
{
    const selftest_request request = {.colour = SVR_COLOUR_NONE};

    selftest_run_stream(s->setup, &request, s->clip, &s->plain);
}

static svr_status run_all(selftest_state *s, svr_error *err)
{
    const selftest_run *first = &s->runs[SELFTEST_AUTO];

    run_stream(s, SELFTEST_AUTO, &(svr_memory_request){.mode = SVR_VRAM_AUTO});
    if (!selftest_worked(first)) {
        *err = first->err;
        return err->code;
    }
    run_stream(s, SELFTEST_AGAIN, &(svr_memory_request){.mode = SVR_VRAM_AUTO});
    run_stream(s, SELFTEST_ECONOMY, &(svr_memory_request){.mode = SVR_VRAM_ECONOMY});
    run_stream(s, SELFTEST_EXTREME, &(svr_memory_request){.mode = SVR_VRAM_EXTREME_ECONOMY});
    run_plain(s);
    run_refused(s);
    if (s->smallest == 0)
        return SVR_OK;
    run_with_budget(s, SELFTEST_BUDGET,
                    MAX(s->smallest, s->smallest / 2 + first->last.plan.peak / 2));
    run_with_budget(s, SELFTEST_SMALLEST, s->smallest);
    return SVR_OK;
}

static void describe(const selftest_state *s)
{
    const selftest_run *run = &s->runs[SELFTEST_AUTO];
    svr_video_info in = selftest_input(s->setup);

    selftest_line(s->report, SELFTEST_INFO, "engine", "%s, %s, %dx%d to %dx%d, %d batches of %d",
                  run->backend, svr_dtype_name(run->last.storage), in.width, in.height,
                  s->setup->width, s->setup->height, SELFTEST_BATCHES, s->setup->batch_size);
}

static void check_all(const selftest_state *s)
{
    describe(s);
    selftest_check_picture(s);
    selftest_check_plan(s);
    selftest_check_modes(s);
    selftest_check_budget(s);
    selftest_check_cleanup(s);
    selftest_check_monitoring(s);
    selftest_check_speed(s);
}

svr_status selftest_engine(const selftest_setup *setup, selftest_report *report, svr_dtype *storage,
                           svr_error *err)
{
    svr_video_info in = selftest_input(setup);
    selftest_state *s = g_new0(selftest_state, 1);
    svr_status status;

    s->setup = setup;
    s->report = report;
    s->clip = selftest_paint(&in, selftest_frames(setup));
    status = run_all(s, err);
    if (status == SVR_OK) {
        check_all(s);
        *storage = s->runs[SELFTEST_AUTO].last.storage;
    }
    for (int i = 0; i < SELFTEST_STREAMS; i++)
        selftest_run_finish(&s->runs[i]);
    selftest_run_finish(&s->plain);
    selftest_run_finish(&s->none);
    selftest_run_finish(&s->below);
    g_free(s->clip);
    g_free(s);
    return status;
}
