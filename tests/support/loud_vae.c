#include "loud_vae.h"

#include "weights/safetensors.h"

#include "check.h"
#include "write_safetensors.h"

#include <stdlib.h>
#include <string.h>

void test_write_loud_vae(const char *from, const char *to)
{
    svr_safetensors *file = NULL;
    svr_error err = {0};

    CHECK_OK(svr_safetensors_open(from, &file, &err), err);
    size_t count = svr_safetensors_count(file);
    test_tensor *tensors = calloc(count, sizeof *tensors);
    uint16_t *loud = NULL;

    CHECK(tensors != NULL);
    for (size_t i = 0; i < count; i++) {
        const svr_safetensors_entry *e = svr_safetensors_at(file, i);

        tensors[i] =
            (test_tensor){.name = e->name, .dtype = e->dtype, .rank = e->rank, .data = e->data};
        memcpy(tensors[i].dims, e->dims, sizeof tensors[i].dims);
        if (strcmp(e->name, "decoder.conv_in.weight") != 0)
            continue;
        CHECK(e->dtype == SVR_F16);
        loud = malloc(e->bytes);
        CHECK(loud != NULL);
        memcpy(loud, e->data, e->bytes);
        for (size_t k = 0; k < e->bytes / 2; k++)
            loud[k] = svr_f32_to_f16(svr_f16_to_f32(loud[k]) * 5e4f);
        tensors[i].data = loud;
    }
    CHECK(loud != NULL);
    test_write_safetensors(to, tensors, count, svr_safetensors_metadata(file, "config"));
    free(loud);
    free(tensors);
    svr_safetensors_close(file);
}
