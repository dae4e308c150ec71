#include "weights/specs.h"

#include <stdio.h>

enum { MAX_NAME = 96 };

/* One set of weights of a block: "vid", "txt", or "all" for both. */
typedef struct branch {
    const svr_dit_config *config;
    int layer;
    const char *name;
    /* only attention's keys and values are used: the last block's text, whose result nobody reads
     */
    bool unused;
} branch;

static void name_part(char out[MAX_NAME], const branch *b, const char *part)
{
    snprintf(out, MAX_NAME, "blocks.%d.%s.%s", b->layer, part, b->name);
}

/* A tensor of a block, whose matrices are its factors. */
static void add(svr_spec_list *list, const char *name, int rank, const int64_t *dims, bool unused)
{
    svr_spec_add(list, name, rank, dims);
    if (rank == 2)
        svr_spec_mark_factor(list);
    if (unused)
        svr_spec_mark_optional(list);
}

static void add_attention(svr_spec_list *list, const branch *b)
{
    const svr_dit_config *c = b->config;
    int64_t inner = (int64_t) c->heads * c->head_dim, head = c->head_dim, dim = c->dim;
    char part[MAX_NAME], name[MAX_NAME + 16];

    name_part(part, b, "attn.proj_qkv");
    snprintf(name, sizeof name, "%s.weight", part);
    add(list, name, 2, (int64_t[]){3 * inner, dim}, false);
    name_part(part, b, "attn.proj_out");
    snprintf(name, sizeof name, "%s.weight", part);
    add(list, name, 2, (int64_t[]){dim, inner}, b->unused);
    snprintf(name, sizeof name, "%s.bias", part);
    add(list, name, 1, &dim, b->unused);
    name_part(part, b, "attn.norm_q");
    snprintf(name, sizeof name, "%s.weight", part);
    add(list, name, 1, &head, b->unused);
    name_part(part, b, "attn.norm_k");
    snprintf(name, sizeof name, "%s.weight", part);
    add(list, name, 1, &head, false);
}

/* 3B: gate, up and down matrices; 7B: two matrices with bias. */
static void add_mlp(svr_spec_list *list, const branch *b)
{
    const svr_dit_config *c = b->config;
    int64_t dim = c->dim, hidden = c->mlp_hidden;
    const int64_t up[2] = {hidden, dim}, down[2] = {dim, hidden};
    char part[MAX_NAME], name[MAX_NAME + 24];

    name_part(part, b, "mlp");
    snprintf(name, sizeof name, "%s.proj_in.weight", part);
    add(list, name, 2, up, b->unused);
    snprintf(name, sizeof name, "%s.proj_out.weight", part);
    add(list, name, 2, down, b->unused);
    if (c->kind == SVR_MODEL_DIT_3B) {
        snprintf(name, sizeof name, "%s.proj_in_gate.weight", part);
        add(list, name, 2, up, b->unused);
        return;
    }
    snprintf(name, sizeof name, "%s.proj_in.bias", part);
    add(list, name, 1, &hidden, b->unused);
    snprintf(name, sizeof name, "%s.proj_out.bias", part);
    add(list, name, 1, &dim, b->unused);
}

static void add_modulation(svr_spec_list *list, const branch *b)
{
    static const char *const vectors[] = {"attn_shift", "attn_scale", "attn_gate",
                                          "mlp_shift",  "mlp_scale",  "mlp_gate"};
    int64_t dim = b->config->dim;
    char part[MAX_NAME], name[MAX_NAME + 16];

    name_part(part, b, "ada");
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "%s.%s", part, vectors[i]);
        add(list, name, 1, &dim, b->unused && i >= 2);
    }
}

static void add_branch(svr_spec_list *list, const branch *b)
{
    bool text_tail = b->unused && svr_dit_is_text_tail(b->config, b->layer);

    add_attention(list, b);
    if (text_tail)
        return; /* such a file has neither MLP nor modulation for the last block's text */
    add_mlp(list, b);
    add_modulation(list, b);
}

static void add_block(svr_spec_list *list, const svr_dit_config *c, int layer)
{
    int64_t pairs = c->rope_pairs;
    char name[MAX_NAME];

    if (svr_dit_is_split(c, layer)) {
        add_branch(list, &(branch){c, layer, "vid", false});
        add_branch(list, &(branch){c, layer, "txt", layer == c->layers - 1});
    } else {
        add_branch(list, &(branch){c, layer, "all", false});
    }
    snprintf(name, sizeof name, "blocks.%d.attn.rope.rope.freqs", layer);
    svr_spec_add(list, name, 1, &pairs);
    svr_spec_mark_optional(list);
}

void svr_specs_of_dit(const svr_dit_config *c, svr_spec_list *list)
{
    int64_t dim = c->dim, pixels = (int64_t) c->patch * c->patch;

    svr_spec_add_linear(list, "vid_in.proj", dim, c->in_channels * pixels);
    svr_spec_add_linear(list, "txt_in", dim, c->txt_in);
    svr_spec_add_linear(list, "emb_in.proj_in", dim, c->time_freqs);
    svr_spec_add_linear(list, "emb_in.proj_hid", dim, dim);
    svr_spec_add_linear(list, "emb_in.proj_out", 6 * dim, dim);
    for (int layer = 0; layer < c->layers; layer++)
        add_block(list, c, layer);
    if (c->kind == SVR_MODEL_DIT_3B) {
        svr_spec_add(list, "vid_out_norm.weight", 1, &dim);
        svr_spec_add(list, "vid_out_ada.out_shift", 1, &dim);
        svr_spec_add(list, "vid_out_ada.out_scale", 1, &dim);
    }
    svr_spec_add_linear(list, "vid_out.proj", c->out_channels * pixels, dim);
}
