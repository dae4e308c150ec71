/* What the files of this folder share about one transformer.
 * Level 4.  Thread: the one that computes. */
#ifndef SVR_DIT_DIT_INTERNAL_H
#define SVR_DIT_DIT_INTERNAL_H

#include "dit/dit.h"

#include "base/arena.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The two streams of a block. */
typedef enum dit_stream { DIT_VIDEO = 0, DIT_TEXT = 1 } dit_stream;

/* The two halves of a block, in the order of the time embedding. */
typedef enum dit_part { DIT_ATTENTION = 0, DIT_MLP = 1 } dit_part;

/* The three vectors of a modulation, in the order of the time embedding. */
enum { DIT_SHIFT = 0, DIT_SCALE = 1, DIT_GATE = 2, DIT_KINDS = 3, DIT_PARTS = 2 };

/* Room for the name of any tensor. */
enum { DIT_NAME_SIZE = 128 };

/* Id of an item that the network does not have. */
enum { DIT_NO_ITEM = -1 };

/* Store ids of one branch of a block. */
typedef struct dit_branch {
    int qkv, norm_q, norm_k;
    int out_weight, out_bias;
    int gate_weight;        /* 3B only */
    int in_weight, in_bias; /* bias: 7B only, as below */
    int mlp_weight, mlp_bias;
} dit_branch;

/* Branches of a block by stream; equal where video and text share their weights. */
typedef struct dit_block {
    dit_branch branch[2];
    bool has_text_result; /* the text goes on: there are queries, a way out and an MLP for it */
} dit_block;

struct svr_dit {
    svr_dit_config config;
    svr_store *store;
    svr_dtype storage;
    int64_t token_chunk;  /* 0: all */
    svr_dtype multiplied; /* what the blocks' matrices multiply: storage, F8_E4M3 or I8 */
    svr_arena *arena;
    dit_block *blocks;
    int in_weight, in_bias;
    int out_weight, out_bias;
    int head_norm; /* 3B only */
};

/* One of the constants of a grid or a condition. */
typedef struct dit_table {
    svr_tensor *view; /* shape and type given; the address is filled in */
    const void *host; /* the values */
} dit_table;

/* Tables in one allocation of backend memory, tag STATE. */
typedef struct dit_tables {
    svr_backend *backend;
    void *memory;
    size_t bytes;
} dit_tables;

struct svr_dit_condition {
    dit_tables tables;
    svr_dit_config config;
    int text_len;
    svr_tensor txt;        /* [L, D] F32 */
    svr_tensor modulation; /* [sets * parts * kinds, D] F32 */
    svr_tensor head;       /* [2, D] F32: shift, scale; 3B only */
};

/* Tables of the regular (0) or shifted (1) cut. */
typedef struct dit_cut {
    int window_count;
    const int32_t *host_offsets;
    svr_tensor order, offsets;
    svr_tensor cosines, sines;
    svr_tensor rows[2]; /* by stream; the 7B's text has none */
} dit_cut;

struct svr_dit_geometry {
    dit_tables tables;
    svr_arena *arena;
    int latent[3], grid[3];
    int text_len;
    dit_cut cut[2];
};

/* "vid", "txt" or "all": how checkpoints call the weights of a stream in a block. */
const char *svr_dit_branch_name(const svr_dit_config *config, int layer, dit_stream stream);

/* Declares all items in dit->store and notes their ids. */
SVR_CHECKED svr_status svr_dit_declare_items(svr_dit *dit, svr_error *err);

/* View of an item; no tensor for DIT_NO_ITEM. */
svr_tensor svr_dit_item(const svr_dit *dit, int id);

/* Scales of the rows of an item that is quantised; no tensor for others. */
svr_tensor svr_dit_scale(const svr_dit *dit, int id);

/* The modulation set (one branch of one block) of a stream. */
int svr_dit_modulation_set(const svr_dit_config *config, int layer, dit_stream stream);

/* Tensor `index` (part * DIT_KINDS + kind) of the vectors that a checkpoint adds to the embedding.
 */
void svr_dit_modulation_name(const svr_dit_config *config, int layer, dit_stream stream, int index,
                             char name[DIT_NAME_SIZE]);

/* Vector [D] of a block's modulation. */
svr_tensor svr_dit_modulation(const svr_dit_condition *condition, int set, dit_part part, int kind);

/* Allocates room for `count` tables, uploads them and fills in their views.
 * Errors: NO_MEM, NO_VRAM, DEVICE. */
SVR_CHECKED svr_status svr_dit_tables_upload(svr_backend *backend, const dit_table *list,
                                             size_t count, dit_tables *out, svr_error *err);

/* Idempotent; accepts a zeroed struct. */
void svr_dit_tables_free(dit_tables *tables);

/* Shows a tensor to the tap as "block<layer>.<what>". */
SVR_CHECKED svr_status svr_dit_block_tap(svr_exec *exec, int layer, const char *what,
                                         const svr_tensor *value, svr_error *err);

/* Whether the text that leaves a block is read by anything. */
typedef enum dit_text_use { DIT_TEXT_UNUSED = 0, DIT_TEXT_USED } dit_text_use;

typedef struct dit_block_call {
    const svr_dit *dit;
    int layer;
    const svr_dit_io *io;      /* condition and geometry */
    const svr_tensor *streams; /* [2] */
    dit_text_use text_use;
    bool in_order; /* the blocks before it were run for the same io, in this pass */
} dit_block_call;

/* svr_dit_block(), leaving the text as it is where it is unused. */
SVR_CHECKED svr_status svr_dit_block_run(svr_exec *exec, const dit_block_call *call,
                                         svr_error *err);

#ifdef __cplusplus
}
#endif
#endif
