#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tests_run;

static void fail(const char *file, int line)
{
    fprintf(stderr, "%s:%d: check failed: ", file, line);
}

void check_failed(const char *what, const char *file, int line)
{
    fail(file, line);
    fprintf(stderr, "%s\n", what);
    exit(1);
}

void check_status(svr_status got, svr_status want, svr_error *err, const char *what,
                  const char *file, int line)
{
    if (got == want && (want == SVR_OK || err->text[0] != '\0')) {
        svr_error_clear(err);
        return;
    }
    fail(file, line);
    fprintf(stderr, "%s is \"%s\", wanted \"%s\" (%s)\n", what, svr_status_name(got),
            svr_status_name(want), err->text);
    exit(1);
}

void check_text(const char *text, const char *part, const char *file, int line)
{
    if (strstr(text, part))
        return;
    fail(file, line);
    fprintf(stderr, "\"%s\" does not contain \"%s\"\n", text, part);
    exit(1);
}

void check_near(double got, double want, double limit, const char *what, const char *file, int line)
{
    if (fabs(got - want) <= limit)
        return;
    fail(file, line);
    fprintf(stderr, "%s is %.9g, wanted %.9g within %.3g\n", what, got, want, limit);
    exit(1);
}

void check_run(void (*fn)(void), const char *name)
{
    fn();
    tests_run++;
    printf("ok %d %s\n", tests_run, name);
    fflush(stdout);
}

int check_done(void)
{
    printf("%d tests\n", tests_run);
    return tests_run > 0 ? 0 : 1;
}
