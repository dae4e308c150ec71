#include "base/cancel.h"

#include <stdatomic.h>
#include <stdlib.h>

struct svr_cancel {
    atomic_bool raised;
};

svr_cancel *svr_cancel_create(void)
{
    svr_cancel *c = malloc(sizeof *c);

    if (c)
        atomic_init(&c->raised, false);
    return c;
}

void svr_cancel_destroy(svr_cancel *cancel)
{
    free(cancel);
}

void svr_cancel_set(svr_cancel *cancel, bool raised)
{
    atomic_store(&cancel->raised, raised);
}

bool svr_cancel_raised(const svr_cancel *cancel)
{
    return cancel && atomic_load_explicit(&cancel->raised, memory_order_relaxed);
}
