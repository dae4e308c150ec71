/* Model files with the right names and shapes and simple values, to be spoilt by tests. */
#ifndef SVR_TESTS_WEIGHTS_MODEL_FILE_H
#define SVR_TESTS_WEIGHTS_MODEL_FILE_H

#include "weights/weights.h"

#include "check.h"
#include "write_safetensors.h"

/* A small VAE and small transformers. */
svr_vae_config small_vae(void);
svr_dit_config small_dit(svr_model_kind kind);

typedef struct model_file {
    svr_weights *weights; /* owns the names */
    test_tensor *tensors;
    size_t count;
    char (*renamed)[96]; /* room for one changed name per tensor */
} model_file;

/* All tensors of a network, zeros of type F16. */
model_file model_file_of_vae(const svr_vae_config *config);
model_file model_file_of_dit(const svr_dit_config *config);
void model_file_free(model_file *model);

/* The tensor of this name. */
test_tensor *model_file_find(model_file *model, const char *name);

void model_file_remove(model_file *model, const char *name);

/* Removes every tensor whose name contains `part`; how many those were. */
size_t model_file_remove_all(model_file *model, const char *part);

/* Appends a tensor [1] of type F32; there is room for a few. */
void model_file_append(model_file *model, const char *name);

/* Replaces `from` by `to` in all names that contain it; how many those were. */
size_t model_file_rename(model_file *model, const char *from, const char *to);

/* Writes and opens it. */
svr_safetensors *model_file_open(const model_file *model, const char *path, const char *config);

/* Writes it and tries whether small_vae() or small_dit() can be bound to it. */
svr_status model_file_bind_vae(const model_file *model, const char *path, svr_error *err);
svr_status model_file_bind_dit(const model_file *model, const char *path, svr_model_kind kind,
                               svr_error *err);

/* A generator: element i of every tensor is i; the tensor whose name is `user` has no values. */
svr_status model_file_count_up(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                               float *dst, svr_error *err);

#endif
