/* base/file: contents, empty files, and what cannot be opened. */
#include "base/file.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "test_file_XXXXXX", path[64];

static void write_file(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    CHECK(f != NULL);
    CHECK(fwrite(bytes, 1, n, f) == n);
    CHECK(fclose(f) == 0);
}

static void test_contents(void)
{
    svr_file file;
    svr_error err = {0};

    write_file("ab\0cd", 5);
    CHECK_OK(svr_file_open(path, &file, &err), err);
    CHECK(unlink(path) == 0); /* the mapping stays valid */
    CHECK(file.size == 5 && memcmp(file.data, "ab\0cd", 5) == 0);
    svr_file_close(&file);
    CHECK(file.data == NULL && file.size == 0);
    svr_file_close(&file);
}

/* Somebody else's shortening is an error of the read, and what is left can be read. */
static void test_reads_of_a_shortened_file(void)
{
    svr_file file;
    char got[3] = "";
    svr_error err = {0};

    write_file("ab\0cd", 5);
    CHECK_OK(svr_file_open(path, &file, &err), err);
    CHECK_OK(svr_file_read(&file, 2, got, 3, &err), err);
    CHECK(memcmp(got, "\0cd", 3) == 0);
    CHECK_OK(svr_file_read(&file, 5, got, 0, &err), err);
    CHECK(truncate(path, 4) == 0);
    CHECK(svr_file_read(&file, 2, got, 3, &err) == SVR_ERR_IO);
    CHECK_TEXT(err.text, "shorter than the 5 bytes it had");
    svr_error_clear(&err);
    CHECK_OK(svr_file_read(&file, 1, got, 3, &err), err);
    CHECK(memcmp(got, "b\0c", 3) == 0);
    svr_file_close(&file);
    CHECK(unlink(path) == 0);
}

static void test_empty(void)
{
    svr_file file, zeroed = {0};
    svr_error err = {0};

    write_file("", 0);
    CHECK_OK(svr_file_open(path, &file, &err), err);
    CHECK(file.data == NULL && file.size == 0);
    svr_file_close(&file);
    svr_file_close(&zeroed);
    CHECK(unlink(path) == 0);
}

static void refused(const char *name, const char *why)
{
    svr_file file;
    svr_error err = {0};

    CHECK(svr_file_open(name, &file, &err) == SVR_ERR_IO);
    CHECK_TEXT(err.text, name);
    CHECK_TEXT(err.text, why);
    CHECK(file.data == NULL && file.size == 0);
    svr_file_close(&file);
}

static void test_refused(void)
{
    refused("no/such/file.bin", "No such file");
    refused(folder, "a directory");
    CHECK(mkfifo(path, 0600) == 0);
    refused(path, "name a regular file"); /* must not wait for a writer */
    CHECK(unlink(path) == 0);
}

/* Limits have remedies of their own. */
static void test_limits(void)
{
    struct rlimit before, none = {0, 0};
    svr_file file;
    svr_error err = {0};

    write_file("abc", 3);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(svr_file_open(path, &file, &err) == SVR_ERR_IO);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_TEXT(err.text, "ulimit -n");
    CHECK(unlink(path) == 0);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/file.bin", folder);
    RUN(test_contents);
    RUN(test_reads_of_a_shortened_file);
    RUN(test_empty);
    RUN(test_refused);
    RUN(test_limits);
    CHECK(rmdir(folder) == 0);
    return check_done();
}
