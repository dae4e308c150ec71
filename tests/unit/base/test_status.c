/* base/status: the first failure wins, prefixes go in front, texts never overflow. */
#include "base/status.h"

#include "check.h"

#include <string.h>

static svr_status fail_io(svr_error *err)
{
    return SVR_FAIL(err, SVR_ERR_IO, "file %s, byte %d", "a.bin", 17);
}

static svr_status pass_on(svr_error *err, int *reached)
{
    SVR_TRY(SVR_OK);
    *reached = 1;
    SVR_TRY(fail_io(err));
    *reached = 2;
    return SVR_OK;
}

static void test_first_failure_wins(void)
{
    svr_error err = {0};

    CHECK(fail_io(&err) == SVR_ERR_IO);
    CHECK(SVR_FAIL(&err, SVR_ERR_NO_MEM, "later") == SVR_ERR_NO_MEM);
    CHECK(err.code == SVR_ERR_IO);
    CHECK(strcmp(err.text, "file a.bin, byte 17") == 0);
    CHECK_TEXT(err.file, "test_status.c");
    CHECK(err.line > 0);
    CHECK(fail_io(NULL) == SVR_ERR_IO);
}

static void test_try_returns(void)
{
    svr_error err = {0};
    int reached = 0;

    CHECK(pass_on(&err, &reached) == SVR_ERR_IO);
    CHECK(reached == 1);
}

static void test_prefix(void)
{
    svr_error err = {0};

    svr_error_prefix(&err, "ignored: ");
    CHECK(err.text[0] == '\0');
    CHECK(fail_io(&err) == SVR_ERR_IO);
    svr_error_prefix(&err, "block %d: ", 3);
    CHECK(strcmp(err.text, "block 3: file a.bin, byte 17") == 0);
    svr_error_prefix(NULL, "no record");
    svr_error_clear(&err);
    CHECK(err.code == SVR_OK && err.text[0] == '\0');
}

/* Only memory failures have bytes, and the innermost knows them. */
static void test_bytes(void)
{
    svr_error err = {0};

    svr_error_bytes(&err, 7, 5);
    svr_error_bytes(NULL, 7, 5);
    CHECK(err.needed == 0 && err.available == 0);
    CHECK(SVR_FAIL(&err, SVR_ERR_NO_VRAM, "too few") == SVR_ERR_NO_VRAM);
    svr_error_bytes(&err, 7, 5);
    svr_error_bytes(&err, 9, 8);
    CHECK(err.needed == 7 && err.available == 5);
    svr_error_clear(&err);
    CHECK(err.needed == 0 && err.available == 0);
    CHECK(fail_io(&err) == SVR_ERR_IO);
    svr_error_bytes(&err, 7, 5);
    CHECK(err.needed == 0);
}

static void test_long_texts_are_cut(void)
{
    svr_error err = {0};
    char many[2000];

    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    CHECK(SVR_FAIL(&err, SVR_ERR_IO, "%s", many) == SVR_ERR_IO);
    CHECK(strlen(err.text) == sizeof err.text - 1);
    svr_error_prefix(&err, "front ");
    CHECK(strncmp(err.text, "front xxx", 9) == 0);
    CHECK(strlen(err.text) == sizeof err.text - 1);
    svr_error_prefix(&err, "%s", many);
    CHECK(strlen(err.text) == sizeof err.text - 1);
}

static void test_names(void)
{
    CHECK(strcmp(svr_status_name(SVR_OK), "ok") == 0);
    CHECK(strcmp(svr_status_name(SVR_ERR_NO_VRAM), "no device memory") == 0);
    CHECK(strcmp(svr_status_name(SVR_ERR_CANCELLED), "cancelled") == 0);
    CHECK(strcmp(svr_status_name((svr_status) 99), "unknown status") == 0);
}

int main(void)
{
    RUN(test_first_failure_wins);
    RUN(test_try_returns);
    RUN(test_prefix);
    RUN(test_bytes);
    RUN(test_long_texts_are_cut);
    RUN(test_names);
    return check_done();
}
