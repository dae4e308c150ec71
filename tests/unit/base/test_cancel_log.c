/* base/cancel and base/log: the flag between threads, levels and formatting of lines. */
#include "base/cancel.h"
#include "base/log.h"

#include "check.h"

#include <pthread.h>
#include <string.h>

static void test_flag(void)
{
    svr_cancel *cancel = svr_cancel_create();

    CHECK(cancel != NULL && !svr_cancel_raised(cancel));
    svr_cancel_set(cancel, true);
    CHECK(svr_cancel_raised(cancel));
    svr_cancel_set(cancel, false);
    CHECK(!svr_cancel_raised(cancel));
    CHECK(!svr_cancel_raised(NULL));
    svr_cancel_destroy(cancel);
    svr_cancel_destroy(NULL);
}

static void *raise_flag(void *cancel)
{
    svr_cancel_set(cancel, true);
    return NULL;
}

/* The loop ends only when the other thread's write becomes visible. */
static void test_flag_crosses_threads(void)
{
    svr_cancel *cancel = svr_cancel_create();
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, raise_flag, cancel) == 0);
    while (!svr_cancel_raised(cancel))
        ;
    CHECK(pthread_join(thread, NULL) == 0);
    svr_cancel_destroy(cancel);
}

typedef struct capture {
    int lines;
    svr_log_level level;
    char module[16], text[2048];
} capture;

static void capture_line(void *user, svr_log_level level, const char *module, const char *text)
{
    capture *c = user;

    c->lines++;
    c->level = level;
    strncpy(c->module, module, sizeof c->module - 1);
    strncpy(c->text, text, sizeof c->text - 1);
}

static void test_log_levels(void)
{
    capture c = {0};
    svr_log log = {capture_line, &c, SVR_LOG_INFO};

    svr_log_write(&log, SVR_LOG_DEBUG, "vae", "too much detail");
    CHECK(c.lines == 0);
    svr_log_write(&log, SVR_LOG_INFO, "vae", "tile %d of %s", 3, "nine");
    CHECK(c.lines == 1 && c.level == SVR_LOG_INFO);
    CHECK(strcmp(c.module, "vae") == 0 && strcmp(c.text, "tile 3 of nine") == 0);
    svr_log_write(&log, SVR_LOG_ERROR, "dit", "bad");
    CHECK(c.lines == 2 && c.level == SVR_LOG_ERROR);
}

static void test_log_without_sink(void)
{
    svr_log silent = {NULL, NULL, SVR_LOG_TRACE};

    svr_log_write(NULL, SVR_LOG_ERROR, "vae", "nobody hears");
    svr_log_write(&silent, SVR_LOG_ERROR, "vae", "nobody hears");
}

static void test_log_long_line(void)
{
    capture c = {0};
    svr_log log = {capture_line, &c, SVR_LOG_TRACE};
    char many[3000];

    memset(many, 'y', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    svr_log_write(&log, SVR_LOG_TRACE, "vae", "%s", many);
    CHECK(c.lines == 1 && strlen(c.text) > 500 && strspn(c.text, "y") == strlen(c.text));
}

int main(void)
{
    RUN(test_flag);
    RUN(test_flag_crosses_threads);
    RUN(test_log_levels);
    RUN(test_log_without_sink);
    RUN(test_log_long_line);
    return check_done();
}
