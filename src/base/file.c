#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *remedy(int code)
{
    switch (code) {
    case ENOMEM:
        return "raise the limit of address space (ulimit -v)";
    case EMFILE:
    case ENFILE:
        return "raise the limit of open files (ulimit -n)";
    default:
        return "check the path and the permissions";
    }
}

static svr_status io_error(const char *path, const char *what, int code, svr_error *err)
{
    char reason[128];

    if (strerror_r(code, reason, sizeof reason) != 0)
        reason[0] = '\0';
    return SVR_FAIL(err, SVR_ERR_IO, "%s: cannot be %s: %s; %s", path, what, reason, remedy(code));
}

static svr_status map_descriptor(const char *path, int fd, svr_file *out, svr_error *err)
{
    struct stat info;
    void *data;

    if (fstat(fd, &info) != 0)
        return io_error(path, "examined", errno, err);
    if (!S_ISREG(info.st_mode))
        return SVR_FAIL(err, SVR_ERR_IO, "%s: is %s; name a regular file", path,
                        S_ISDIR(info.st_mode) ? "a directory" : "no file");
    if ((uintmax_t) info.st_size > SIZE_MAX / 2)
        return SVR_FAIL(err, SVR_ERR_IO, "%s: is too large to be mapped on this machine", path);
    if (info.st_size == 0)
        return SVR_OK; /* mmap() refuses empty ranges */
    data = mmap(NULL, (size_t) info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return io_error(path, "mapped", errno, err);
    *out = (svr_file){data, (size_t) info.st_size, fd};
    return SVR_OK;
}

svr_status svr_file_open(const char *path, svr_file *out, svr_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not stop us */
    svr_status status;

    *out = (svr_file){0};
    if (fd < 0)
        return io_error(path, "opened", errno, err);
    status = map_descriptor(path, fd, out, err);
    if (out->size == 0)
        close(fd);
    return status;
}

/* `code`: of a failed read; 0 where the file ended. */
static svr_status read_error(const svr_file *file, int code, svr_error *err)
{
    char reason[128];

    if (code == 0)
        return SVR_FAIL(err, SVR_ERR_IO,
                        "is shorter than the %zu bytes it had when it was opened; leave the file "
                        "alone while it is in use, and start again",
                        file->size);
    if (strerror_r(code, reason, sizeof reason) != 0)
        reason[0] = '\0';
    return SVR_FAIL(err, SVR_ERR_IO, "cannot be read: %s; check the disk or the network", reason);
}

svr_status svr_file_read(const svr_file *file, uint64_t offset, void *dst, size_t bytes,
                         svr_error *err)
{
    char *to = dst;

    while (bytes > 0) {
        ssize_t got = pread(file->fd, to, bytes, (off_t) offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return read_error(file, got < 0 ? errno : 0, err);
        to += got, offset += (uint64_t) got, bytes -= (size_t) got;
    }
    return SVR_OK;
}

void svr_file_close(svr_file *file)
{
    union {
        const unsigned char *data;
        void *address;
    } mapping = {file->data}; /* munmap() takes a pointer to non-const */

    if (file->size > 0) {
        munmap(mapping.address, file->size);
        close(file->fd);
    }
    *file = (svr_file){0};
}
