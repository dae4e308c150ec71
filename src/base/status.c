#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *svr_status_name(svr_status code)
{
    static const char *const names[] = {
        "ok",        "invalid argument", "shape mismatch",   "unsupported", "bad file format",
        "I/O error", "no memory",        "no device memory", "no device",   "device error",
        "cancelled", "overflow",
    };
    size_t i = (size_t) code;
    return i < sizeof names / sizeof names[0] ? names[i] : "unknown status";
}

void svr_error_set(svr_error *err, svr_status code, const char *file, int line, const char *fmt,
                   ...)
{
    va_list ap;

    if (!err || err->code != SVR_OK)
        return;
    err->code = code;
    err->file = file;
    err->line = line;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
}

void svr_error_prefix(svr_error *err, const char *fmt, ...)
{
    char old[SVR_ERROR_TEXT_BYTES];
    va_list ap;
    int n;

    if (!err || err->code == SVR_OK)
        return;
    memcpy(old, err->text, sizeof old);
    va_start(ap, fmt);
    n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t) n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t) n, "%s", old);
}

void svr_error_bytes(svr_error *err, uint64_t needed, uint64_t available)
{
    if (!err || (err->code != SVR_ERR_NO_VRAM && err->code != SVR_ERR_NO_MEM) || err->needed != 0)
        return;
    err->needed = needed;
    err->available = available;
}

void svr_error_clear(svr_error *err)
{
    if (err)
        memset(err, 0, sizeof *err);
}
