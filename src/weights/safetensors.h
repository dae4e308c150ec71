/* Reader of safetensors files: names, types, shapes, places and bytes of tensors.
 *
 * A file is trusted in nothing: the header is bounded (SVR_SAFETENSORS_MAX_HEADER), every offset is
 * checked against the file, ranges may not overlap, names are unique, ranks and sizes are bounded.
 * Level 2.  Thread: any once it is open. */
#ifndef SVR_WEIGHTS_SAFETENSORS_H
#define SVR_WEIGHTS_SAFETENSORS_H

#include "base/dtype.h"
#include "base/json.h"
#include "base/status.h"
#include "base/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SVR_SAFETENSORS_MAX_HEADER = 64 * 1024 * 1024 };

typedef struct svr_safetensors svr_safetensors;

/* One tensor of the file.  `data` points into the mapping, may be unaligned, and is for files that
 * nobody shortens meanwhile (base/file.h): all others are read by svr_safetensors_read(). */
typedef struct svr_safetensors_entry {
    const char *name;
    svr_dtype dtype;
    int rank;
    int64_t dims[SVR_MAX_RANK];
    const void *data;
    size_t bytes;
} svr_safetensors_entry;

/* Maps and checks the header of `path`.  The caller ends with svr_safetensors_close().
 * Errors: IO, FORMAT (with the file and, where one is at fault, the tensor), NO_MEM. */
SVR_CHECKED svr_status svr_safetensors_open(const char *path, svr_safetensors **out,
                                            svr_error *err);

/* Accepts NULL.  Entries and strings of the file end here. */
void svr_safetensors_close(svr_safetensors *file);

/* The path that was opened. */
const char *svr_safetensors_path(const svr_safetensors *file);

/* Bytes of the file. */
size_t svr_safetensors_file_bytes(const svr_safetensors *file);

/* Tensors, sorted by name. */
size_t svr_safetensors_count(const svr_safetensors *file);
const svr_safetensors_entry *svr_safetensors_at(const svr_safetensors *file, size_t index);

/* NULL when there is none of this name. */
const svr_safetensors_entry *svr_safetensors_find(const svr_safetensors *file, const char *name);

/* Bytes [offset, offset + bytes) of an entry of this file, which has as many, to `dst`.
 * Errors: IO (the file was shortened or cannot be read), with the file and the tensor. */
SVR_CHECKED svr_status svr_safetensors_read(const svr_safetensors *file,
                                            const svr_safetensors_entry *entry, size_t offset,
                                            void *dst, size_t bytes, svr_error *err);

/* Value of a key of the header's `__metadata__`; NULL when there is none. */
const char *svr_safetensors_metadata(const svr_safetensors *file, const char *key);

/* The entry of `__metadata__` behind `*at`, the first one for NULL; false when there is none. */
bool svr_safetensors_metadata_next(const svr_safetensors *file, const svr_json **at,
                                   const char **key, const char **value);

/* Elements of an entry. */
size_t svr_safetensors_elems(const svr_safetensors_entry *entry);

#ifdef __cplusplus
}
#endif
#endif
