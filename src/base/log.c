#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void svr_log_write(const svr_log *log, svr_log_level level, const char *module, const char *fmt,
                   ...)
{
    char text[1024];
    va_list ap;

    if (!log || !log->fn || level > log->level)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    log->fn(log->user, level, module, text);
}
