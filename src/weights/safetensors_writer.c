#include "weights/safetensors_writer.h"

#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8 };

static const char part_suffix[] = ".part";

struct svr_safetensors_writer {
    svr_arena *arena;
    const char *path, *part;
    int fd;           /* of `part`; -1 before it is there */
    uint64_t *starts; /* of the tensors in the file; [count + 1] */
    size_t count;
    uint64_t missing; /* bytes that were not put yet */
};

static svr_status io_error(const char *path, const char *what, svr_error *err)
{
    char reason[128];

    if (strerror_r(errno, reason, sizeof reason) != 0)
        reason[0] = '\0';
    return SVR_FAIL(err, SVR_ERR_IO,
                    "%s: cannot be %s: %s; check the path, the permissions and the space", path,
                    what, reason);
}

/* ------------------------------------------------------------------ the header */

static void put_string(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text; text++) {
        unsigned char c = (unsigned char) *text;

        if (c < 0x20)
            fprintf(to, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else
            fputc(c, to);
    }
    fputc('"', to);
}

static void put_metadata(FILE *to, const svr_safetensors *like)
{
    const svr_json *at = NULL;
    const char *key, *value, *separator = "";

    fputs("\"__metadata__\":{", to);
    while (svr_safetensors_metadata_next(like, &at, &key, &value)) {
        fputs(separator, to);
        separator = ",";
        put_string(to, key);
        fputc(':', to);
        put_string(to, value);
    }
    fputc('}', to);
}

static uint64_t entry_bytes(const svr_safetensors_entry *entry)
{
    uint64_t bytes = svr_dtype_size(entry->dtype);

    for (int i = 0; i < entry->rank; i++)
        bytes *= (uint64_t) entry->dims[i];
    return bytes;
}

/* `begin`: offset behind the header. */
static void put_entry(FILE *to, const svr_safetensors_entry *entry, uint64_t begin)
{
    put_string(to, entry->name);
    fprintf(to, ":{\"dtype\":\"%s\",\"shape\":[", svr_dtype_to_safetensors(entry->dtype));
    for (int i = 0; i < entry->rank; i++)
        fprintf(to, "%s%" PRId64, i ? "," : "", entry->dims[i]);
    fprintf(to, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", begin, begin + entry_bytes(entry));
}

static void put_header(FILE *to, const svr_safetensors_entry *entries, size_t count,
                       const svr_safetensors *like)
{
    const svr_json *at = NULL;
    const char *key, *value;
    bool metadata = like && svr_safetensors_metadata_next(like, &at, &key, &value);
    uint64_t begin = 0;

    fputc('{', to);
    if (metadata)
        put_metadata(to, like);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 || metadata)
            fputc(',', to);
        put_entry(to, &entries[i], begin);
        begin += entry_bytes(&entries[i]);
    }
    fputc('}', to);
    /* so that data begin at a multiple of 8 */
    fflush(to);
    for (long size = ftell(to); size % LENGTH_BYTES != 0; size++)
        fputc(' ', to);
}

/* New memory at *text, to be freed. */
static svr_status make_header(const svr_safetensors_entry *entries, size_t count,
                              const svr_safetensors *like, char **text, size_t *size,
                              svr_error *err)
{
    FILE *to = open_memstream(text, size);
    bool failed;

    if (to) {
        put_header(to, entries, count, like);
        failed = ferror(to) != 0;
        if (fclose(to) == 0 && !failed)
            return SVR_OK;
        free(*text);
    }
    *text = NULL;
    return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the header of a file");
}

/* ------------------------------------------------------------------ the file */

static svr_status write_at(svr_safetensors_writer *w, uint64_t at, const void *data, size_t bytes,
                           svr_error *err)
{
    const char *from = data;

    while (bytes > 0) {
        ssize_t done = pwrite(w->fd, from, bytes, (off_t) at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = ENOSPC;
        if (done <= 0)
            return io_error(w->path, "written", err);
        from += done, at += (uint64_t) done, bytes -= (size_t) done;
    }
    return SVR_OK;
}

static svr_status write_header(svr_safetensors_writer *w, const svr_safetensors_entry *entries,
                               const svr_safetensors *like, svr_error *err)
{
    char *text = NULL;
    size_t size = 0;
    unsigned char length[LENGTH_BYTES];
    svr_status status;

    SVR_TRY(make_header(entries, w->count, like, &text, &size, err));
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (unsigned char) ((uint64_t) size >> (8 * i));
    w->starts[0] = LENGTH_BYTES + (uint64_t) size;
    for (size_t i = 0; i < w->count; i++)
        w->starts[i + 1] = w->starts[i] + entry_bytes(&entries[i]);
    w->missing = w->starts[w->count] - w->starts[0];
    status = write_at(w, 0, length, sizeof length, err);
    if (status == SVR_OK)
        status = write_at(w, LENGTH_BYTES, text, size, err);
    free(text);
    return status;
}

static svr_status start(svr_safetensors_writer *w, const char *path, svr_error *err)
{
    size_t length = strlen(path);
    char *part = NULL;

    w->arena = svr_arena_create();
    if (w->arena) {
        w->path = svr_arena_strndup(w->arena, path, length);
        part = svr_arena_alloc(w->arena, length + sizeof part_suffix, 1);
        w->starts = svr_arena_alloc(w->arena, w->count + 1, sizeof w->starts[0]);
    }
    if (!w->path || !part || !w->starts)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "%s: no memory to write the file", path);
    memcpy(part, path, length);
    memcpy(part + length, part_suffix, sizeof part_suffix);
    w->part = part;
    /* a FIFO of that name must not stop us */
    w->fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    return w->fd < 0 ? io_error(path, "created", err) : SVR_OK;
}

svr_status svr_safetensors_writer_open(const char *path, const svr_safetensors_entry *entries,
                                       size_t count, const svr_safetensors *like,
                                       svr_safetensors_writer **out, svr_error *err)
{
    svr_safetensors_writer *w = calloc(1, sizeof *w);
    svr_status status;

    *out = NULL;
    if (!w)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "%s: no memory to write the file", path);
    w->fd = -1;
    w->count = count;
    status = start(w, path, err);
    if (status == SVR_OK)
        status = write_header(w, entries, like, err);
    if (status != SVR_OK) {
        svr_safetensors_writer_abandon(w);
        return status;
    }
    *out = w;
    return SVR_OK;
}

svr_status svr_safetensors_writer_put(svr_safetensors_writer *w, size_t index, size_t offset,
                                      const void *data, size_t bytes, svr_error *err)
{
    if (index >= w->count || w->starts[index] + offset + bytes > w->starts[index + 1] ||
        bytes > w->missing)
        return SVR_FAIL(err, SVR_ERR_INVALID, "%s: %zu bytes at %zu do not fit tensor %zu", w->path,
                        bytes, offset, index);
    SVR_TRY(write_at(w, w->starts[index] + offset, data, bytes, err));
    w->missing -= bytes;
    return SVR_OK;
}

/* On the disk, then under its name. */
static svr_status settle(svr_safetensors_writer *w, svr_error *err)
{
    int fd = w->fd;

    if (w->missing > 0)
        return SVR_FAIL(err, SVR_ERR_INVALID, "%s: %" PRIu64 " bytes were not given", w->path,
                        w->missing);
    if (fsync(fd) != 0)
        return io_error(w->path, "written", err);
    w->fd = -1;
    if (close(fd) != 0 || rename(w->part, w->path) != 0) {
        svr_status status = io_error(w->path, "given its name", err);

        unlink(w->part);
        return status;
    }
    return SVR_OK;
}

svr_status svr_safetensors_writer_finish(svr_safetensors_writer *w, svr_error *err)
{
    svr_status status = settle(w, err);

    svr_safetensors_writer_abandon(w);
    return status;
}

void svr_safetensors_writer_abandon(svr_safetensors_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        unlink(w->part);
    }
    svr_arena_destroy(w->arena);
    free(w);
}
