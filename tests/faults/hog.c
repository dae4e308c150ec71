#include "hog.h"

#include "pipeline/backends.h"

#include "check.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* What it leaves is less than the smallest piece. */
enum { LARGEST_PIECE = 1 << 30, SMALLEST_PIECE = 4 << 20 };

static const char ready[] = "ready\n";

/* In the child; `in` and `out` become its standard input and output. */
static void become_hog(const int in[2], const int out[2])
{
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
    execl("/proc/self/exe", "test_faults", "hog", (char *) NULL);
    _exit(127);
}

void hog_start(hog *h)
{
    char said[sizeof ready] = "";
    int in[2], out[2];
    size_t n = 0;
    ssize_t got;

    CHECK(pipe(in) == 0 && pipe(out) == 0);
    fflush(stdout);
    h->pid = fork();
    CHECK(h->pid >= 0);
    if (h->pid == 0)
        become_hog(in, out);
    close(in[0]);
    close(out[1]);
    h->hold = in[1];
    while (n < sizeof ready - 1 && (got = read(out[0], said + n, sizeof ready - 1 - n)) > 0)
        n += (size_t) got;
    close(out[0]);
    CHECK_TEXT(said, "ready");
}

void hog_end(hog *h)
{
    int status = 1;

    close(h->hold);
    CHECK(waitpid(h->pid, &status, 0) == h->pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int hog_main(void)
{
    svr_error err = {.code = SVR_OK};
    svr_backend *backend = NULL;
    void *piece;
    char byte;

    CHECK_OK(svr_backend_open(SVR_BACKEND_CUDA, 0, NULL, NULL, &backend, &err), err);
    for (size_t bytes = LARGEST_PIECE; bytes >= SMALLEST_PIECE; bytes /= 2)
        while (svr_backend_alloc(backend, SVR_MEM_STATE, bytes, &piece, &err) == SVR_OK)
            ;
    CHECK(err.code == SVR_ERR_NO_VRAM);
    CHECK(write(STDOUT_FILENO, ready, sizeof ready - 1) == sizeof ready - 1);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    /* the end of the process frees the memory, as that of any other program would */
    _exit(0);
}
