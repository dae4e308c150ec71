/* A golden case of the tiny transformers on its way through the network. */
#ifndef SVR_TESTS_DIT_SESSION_H
#define SVR_TESTS_DIT_SESSION_H

#include "fixture.h"

/* Limits of the manifest; 0: not limited. */
typedef struct session_limits {
    svr_dtype storage;
    double max_abs, rel_l2, max_std;
} session_limits;

extern const session_limits session_f32;

/* A forward pass with a tap. */
typedef struct session {
    device device;
    network network;
    golden_case input;
    svr_dit_condition *condition;
    svr_dit_geometry *geometry;
    svr_dit_io io;
    int compared; /* tensors */
} session;

/* Case names[1] of variant names[0] in `dir`, with factors quantised to `factors`; `*file` is what
 * session_close() gets. */
void session_open_quantized(session *s, svr_safetensors **file, const char *dir,
                            const char *const names[2], svr_dtype storage, svr_dtype factors);

/* The same, not quantised. */
void session_open(session *s, svr_safetensors **file, const char *dir, const char *variant,
                  const char *name, svr_dtype storage);
void session_close(session *s, svr_safetensors *file);

void session_check_values(const char *name, const float *got, const float *want, size_t count,
                          const session_limits *limit);

/* A tap for svr_exec: compares the intermediates that the case has. */
svr_status session_tap(void *user, const char *name, const svr_tensor *value, svr_error *err);

/* Runs the network and compares its output. */
void session_check(session *s, const session_limits *limit);

#endif
