/* Status codes and the error record that every fallible function fills.
 *
 * The outermost caller owns one svr_error and passes it down as the last parameter; the first
 * failure fills it, outer levels may prefix context.  `err` may be NULL everywhere.
 * Level 0.  Thread: any (a record belongs to one thread at a time). */
#ifndef SVR_BASE_STATUS_H
#define SVR_BASE_STATUS_H

#include "base/api.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SVR_CHECKED __attribute__((warn_unused_result))
#define SVR_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define SVR_CHECKED
#define SVR_PRINTF(fmt, first)
#endif

typedef enum svr_status {
    SVR_OK = 0,
    SVR_ERR_INVALID, /* the caller broke the contract of a function or an option is out of range */
    SVR_ERR_SHAPE,   /* tensors or frames do not fit together */
    SVR_ERR_UNSUPPORTED, /* correct input that this build or backend cannot serve */
    SVR_ERR_FORMAT,      /* a file is not what it should be */
    SVR_ERR_IO,          /* reading or writing a file failed */
    SVR_ERR_NO_MEM,      /* host memory */
    SVR_ERR_NO_VRAM,     /* device memory: plan again, tighter */
    SVR_ERR_NO_DEVICE,   /* no usable device, or its driver is missing or too old */
    SVR_ERR_DEVICE,      /* a device failed; sticky until the upscaler is created anew */
    SVR_ERR_CANCELLED,   /* svr_upscaler_cancel() was called */
    SVR_ERR_OVERFLOW     /* numbers left the range of the storage type: compute in a wider one */
} svr_status;

enum { SVR_ERROR_TEXT_BYTES = 512 };

/* What went wrong, for people: `text` says what and what to do. */
typedef struct svr_error {
    svr_status code;
    const char *file; /* source position of the first failure, static storage */
    int line;
    char text[SVR_ERROR_TEXT_BYTES];
    /* NO_VRAM and NO_MEM: bytes that were to be taken, and those that there were; 0: not known */
    uint64_t needed, available;
} svr_error;

/* Short name of a code, e.g. "no memory"; static storage, never NULL. */
SVR_API const char *svr_status_name(svr_status code);

/* Fills `err` unless it is NULL or already filled.  Use through SVR_FAIL. */
void svr_error_set(svr_error *err, svr_status code, const char *file, int line, const char *fmt,
                   ...) SVR_PRINTF(5, 6);

/* Puts context in front of the text of a filled record; nothing on NULL or an empty record. */
void svr_error_prefix(svr_error *err, const char *fmt, ...) SVR_PRINTF(2, 3);

/* Tells of bytes in a record of NO_VRAM or NO_MEM that does not yet; nothing on another. */
void svr_error_bytes(svr_error *err, uint64_t needed, uint64_t available);

/* Empties the record for reuse. */
SVR_API void svr_error_clear(svr_error *err);

/* Fills `err`; its value is `code`, which is evaluated twice: a plain comma, so that compilers and
 * checkers see that what follows a constant code is a failure. */
#define SVR_FAIL(err, code, ...)                                                                   \
    (svr_error_set((err), (code), __FILE__, __LINE__, __VA_ARGS__), (code))

/* Returns from the current function when `call` fails and nothing has to be undone. */
#define SVR_TRY(call)                                                                              \
    do {                                                                                           \
        svr_status svr_try_status_ = (call);                                                       \
        if (svr_try_status_ != SVR_OK)                                                             \
            return svr_try_status_;                                                                \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
