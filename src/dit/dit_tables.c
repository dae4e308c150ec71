#include "dit/dit_internal.h"

#include "base/checked.h"

enum { TABLE_ALIGN = 256 };

svr_status svr_dit_tables_upload(svr_backend *backend, const dit_table *list, size_t count,
                                 dit_tables *out, svr_error *err)
{
    size_t bytes = 0;

    *out = (dit_tables){.backend = backend};
    for (size_t i = 0; i < count; i++)
        bytes += svr_align_up(svr_tensor_bytes(list[i].view), TABLE_ALIGN);
    SVR_TRY(svr_backend_alloc(backend, SVR_MEM_STATE, bytes, &out->memory, err));
    out->bytes = bytes;
    char *next = out->memory;
    for (size_t i = 0; i < count; i++) {
        size_t size = svr_tensor_bytes(list[i].view);
        svr_status status = svr_backend_upload(backend, next, list[i].host, size, err);
        if (status != SVR_OK) {
            svr_dit_tables_free(out);
            return status;
        }
        list[i].view->data = next;
        next += svr_align_up(size, TABLE_ALIGN);
    }
    return SVR_OK;
}

void svr_dit_tables_free(dit_tables *tables)
{
    if (tables->memory)
        svr_backend_free(tables->backend, SVR_MEM_STATE, tables->bytes, tables->memory);
    *tables = (dit_tables){0};
}
