/* What the files of the store share.  Level 3.  Thread: the one that computes. */
#ifndef SVR_MEMORY_STORE_INTERNAL_H
#define SVR_MEMORY_STORE_INTERNAL_H

#include "memory/store.h"

#include "base/arena.h"

#include <stdbool.h>

typedef struct store_item {
    svr_store_item source; /* name owned by the arena; rank and dims always set, in file order */
    svr_tensor view;       /* data NULL until the group is loaded */
    svr_tensor scale;      /* of the rows of a quantised view, likewise; rank 0 for others */
    size_t offset;         /* in the group; scales lie behind the view */
} store_item;

typedef struct store_group {
    uint64_t bytes;
    void *address; /* NULL while not loaded or when empty */
    bool loaded;
    bool in_host;  /* what is loaded is a copy in host memory, for streaming */
    bool streamed; /* how it is wanted, which a load brings about */
    int users;     /* acquired and not released */
} store_group;

enum { STORE_MAX_SLOTS = 4 };

/* Where the streamed groups of a pass are at a time. */
typedef struct store_pass {
    bool active;
    int first, end;    /* groups */
    int next_fetch;    /* the next streamed group to bring over */
    int next_use;      /* the next one to be acquired */
    int fetched, used; /* how many there were */
    int slot_count;
    svr_tensor slots[STORE_MAX_SLOTS]; /* in scratch memory */
    svr_mark filled[STORE_MAX_SLOTS];
} store_pass;

/* Page-locked memory between the file and the slots, where streamed groups have no copy. */
typedef struct store_relay {
    void *memory[STORE_MAX_SLOTS];
    int count;    /* slots that have some */
    size_t bytes; /* of each */
    svr_mark sent[STORE_MAX_SLOTS];
} store_relay;

struct svr_store {
    svr_backend *backend;
    const svr_weights *weights;
    svr_dtype storage;
    svr_dtype kept;    /* type of matrices on the device */
    svr_dtype factors; /* of factors: likewise, or F8_E4M3 or I8 */
    svr_arena *arena;
    store_group *groups; /* in the arena */
    int group_count;
    store_item *items; /* malloc'ed */
    int item_count, item_capacity;
    int slots;        /* of a pass */
    bool relay_asked; /* streamed groups keep no copy; also where the host had no room */
    store_relay relay;
    store_pass pass;
};

/* Takes a group from where it is. */
void svr_store_unload(svr_store *store, int group);

/* Whether an item is kept in 8 bits with scales. */
bool svr_store_is_quantized_item(const store_item *item);

/* Views of a group's items into memory at `address`, or (NULL) nowhere. */
void svr_store_place_items(svr_store *store, int group, void *address);

/* The values of a group, in the form that they have on the device, to host memory at `dst`.
 * Errors: NO_MEM, CANCELLED, those of the values. */
SVR_CHECKED svr_status svr_store_read_group(svr_store *store, int group, void *dst, svr_error *err);

/* Makes or gives back the relay's memory, large enough for the largest streamed group. */
SVR_CHECKED svr_status svr_store_relay_open(svr_store *store, svr_error *err);
void svr_store_relay_close(svr_store *store);

#endif
