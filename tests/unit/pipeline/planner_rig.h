/* Streams of nano, 24x16 to 48x32, on a backend with queues that do no copy before somebody waits,
 * for tests of the planner. */
#ifndef SVR_TESTS_PIPELINE_PLANNER_RIG_H
#define SVR_TESTS_PIPELINE_PLANNER_RIG_H

#include "rig.h"

#include "pipeline/model.h"

/* Frames of a sequence, and bytes of source and finished ones. */
enum { PLANNER_FRAMES = 12, PLANNER_IN = 24 * 16 * 3, PLANNER_OUT = 48 * 32 * 3 };

/* Folder of nano. */
extern const char *planner_models;

svr_model_options planner_model(void);

/* A stream of nano, planned for `request`. */
typedef struct planner_run {
    svr_backend *backend;
    svr_model *model;
    svr_stream *stream;
    svr_stream_options options;
    svr_error err;
} planner_run;

planner_run planner_open(void);
svr_status planner_configure(planner_run *r, const svr_memory_request *request);
void planner_close(planner_run *r);

/* All frames through the stream; checks that the memory is as planned, behind every batch. */
void planner_compute(planner_run *r, uint8_t *bytes);

/* The plan of a stream that is made for a request. */
svr_memory_plan planner_plan_for(planner_run *r, svr_memory_request request);

/* The peak of the most frugal placement. */
uint64_t planner_smallest_peak(planner_run *r);

#endif
