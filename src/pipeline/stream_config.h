/* Checks the public stream configuration and turns it into what the computing side takes.
 * Level 5.  Thread: any (pure). */
#ifndef SVR_PIPELINE_STREAM_CONFIG_H
#define SVR_PIPELINE_STREAM_CONFIG_H

#include "pipeline/stream.h"
#include "pipeline/upscaler.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Errors: INVALID naming the option as the element's property is called, SHAPE for sizes that
 * cannot be computed. */
SVR_CHECKED svr_status svr_stream_config_resolve(const svr_stream_config *config,
                                                 const svr_networks *networks,
                                                 svr_stream_options *out, svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
