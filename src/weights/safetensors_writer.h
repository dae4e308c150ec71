/* Writer of safetensors files.  What is written lies in PATH.part until it is complete, so that
 * nothing half done ever has the final name.
 * Level 2.  Thread: one at a time. */
#ifndef SVR_WEIGHTS_SAFETENSORS_WRITER_H
#define SVR_WEIGHTS_SAFETENSORS_WRITER_H

#include "weights/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_safetensors_writer svr_safetensors_writer;

/* Begins a file of `count` tensors, in this order, with the metadata of `like` (NULL: none).  Of
 * the entries name, type and shape are used, during this call.  The caller ends with _finish() or
 * _abandon().  Errors: IO, NO_MEM. */
SVR_CHECKED svr_status svr_safetensors_writer_open(const char *path,
                                                   const svr_safetensors_entry *entries,
                                                   size_t count, const svr_safetensors *like,
                                                   svr_safetensors_writer **out, svr_error *err);

/* Writes bytes [offset, offset + bytes) of tensor `index`, each once, in any order.  Errors: IO. */
SVR_CHECKED svr_status svr_safetensors_writer_put(svr_safetensors_writer *writer, size_t index,
                                                  size_t offset, const void *data, size_t bytes,
                                                  svr_error *err);

/* Gives the complete file its name, over whatever has it.  Ends the writer, also on failure, which
 * leaves nothing behind.  Errors: IO, INVALID (not all bytes were put). */
SVR_CHECKED svr_status svr_safetensors_writer_finish(svr_safetensors_writer *writer,
                                                     svr_error *err);

/* Removes what was written.  Accepts NULL. */
void svr_safetensors_writer_abandon(svr_safetensors_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
