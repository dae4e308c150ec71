#include "dit/dit_internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------- layout */

/* Modulation sets; a set: one branch of one block. */
static int modulation_sets(const svr_dit_config *config)
{
    return config->layers + config->split_layers;
}

int svr_dit_modulation_set(const svr_dit_config *config, int layer, dit_stream stream)
{
    return svr_dit_is_split(config, layer) ? 2 * layer + (int) stream
                                           : config->split_layers + layer;
}

void svr_dit_modulation_name(const svr_dit_config *config, int layer, dit_stream stream, int index,
                             char name[DIT_NAME_SIZE])
{
    static const char *const parts[DIT_PARTS] = {"attn", "mlp"};
    static const char *const kinds[DIT_KINDS] = {"shift", "scale", "gate"};

    snprintf(name, DIT_NAME_SIZE, "blocks.%d.ada.%s.%s_%s", layer,
             svr_dit_branch_name(config, layer, stream), parts[index / DIT_KINDS],
             kinds[index % DIT_KINDS]);
}

svr_tensor svr_dit_modulation(const svr_dit_condition *condition, int set, dit_part part, int kind)
{
    int64_t dim = condition->config.dim;
    int64_t row = ((int64_t) set * DIT_PARTS + part) * DIT_KINDS + kind;
    svr_tensor slice = svr_tensor_slice(&condition->modulation, row, 1);

    return svr_tensor_1d(slice.data, SVR_F32, dim);
}

/* ---------------------------------------------------------------------------- host arithmetic */

/* Independent partial sums, so that compilers may use vector registers. */
enum { DOT_LANES = 16 };

static float dot(const float *a, const float *b, size_t n)
{
    float lane[DOT_LANES] = {0};
    double sum = 0.0;
    size_t i = 0;

    for (; i + DOT_LANES <= n; i += DOT_LANES) {
        for (size_t l = 0; l < DOT_LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    }
    for (size_t l = 0; l < DOT_LANES; l++)
        sum += lane[l];
    for (; i < n; i++)
        sum += (double) a[i] * b[i];
    return (float) sum;
}

/* A linear layer on the host: y [rows, n] = x [rows, k] w^T + b with tensors "<name>.weight" [n, k]
 * and "<name>.bias" [n]. */
typedef struct host_linear {
    const char *name;
    const float *x;
    float *y;
    size_t rows, n, k;
} host_linear;

/* Elements of a matrix that are in host memory at a time; a row counts at least. */
enum { CHUNK_ELEMS = 1 << 20 };

/* Output columns [first, first + count) with the rows of the matrix at `weight`. */
static void host_linear_columns(const host_linear *layer, const float *weight, size_t first,
                                size_t count)
{
    for (size_t j = 0; j < count; j++) {
        for (size_t row = 0; row < layer->rows; row++)
            layer->y[row * layer->n + first + j] +=
                dot(layer->x + row * layer->k, weight + j * layer->k, layer->k);
    }
}

static svr_status host_linear_bias(const svr_weights *weights, const host_linear *layer,
                                   svr_error *err)
{
    char name[DIT_NAME_SIZE];

    snprintf(name, sizeof(name), "%s.bias", layer->name);
    SVR_TRY(svr_weights_read(weights, name, layer->y, layer->n, err));
    for (size_t row = 1; row < layer->rows; row++)
        memcpy(layer->y + row * layer->n, layer->y, layer->n * sizeof(float));
    return SVR_OK;
}

static svr_status host_linear_run(const svr_weights *weights, const host_linear *layer,
                                  svr_error *err)
{
    size_t step = layer->k < CHUNK_ELEMS ? CHUNK_ELEMS / layer->k : 1;
    char name[DIT_NAME_SIZE];

    SVR_TRY(host_linear_bias(weights, layer, err));
    float *weight = malloc(step * layer->k * sizeof(float));
    if (!weight)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for %s", layer->name);
    svr_status status = SVR_OK;
    snprintf(name, sizeof(name), "%s.weight", layer->name);
    for (size_t first = 0; first < layer->n && status == SVR_OK; first += step) {
        size_t count = layer->n - first < step ? layer->n - first : step;
        status =
            svr_weights_read_range(weights, name, first * layer->k, count * layer->k, weight, err);
        if (status == SVR_OK)
            host_linear_columns(layer, weight, first, count);
    }
    free(weight);
    return status;
}

static void silu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] / (1.0f + expf(-x[i]));
}

/* Angles up to 1000 rad make the rounding of the frequencies visible: F32 as in the reference. */
static void sinusoid(float timestep, float *out, int n)
{
    int half = n / 2;
    float step = (float) (-log(10000.0) / half);

    for (int i = 0; i < half; i++) {
        float frequency = (float) exp((double) ((float) i * step));
        float angle;

        /* The reference's F32 exp is faithful, not correctly rounded: of its 128 frequencies this
         * one is the upper neighbour.  At t = 1000 one ulp turns the angle by 2.5e-5, more than all
         * other rounding of the time embedding together, so its value is taken. */
        if (half == 128 && i == 12)
            frequency = nextafterf(frequency, 1.0f);
        angle = timestep * frequency;
        out[i] = (float) sin((double) angle);
        out[half + i] = (float) cos((double) angle);
    }
}

/* The three layers; room for freqs + 2 * dim values at `wave`. */
static svr_status time_mlp(const svr_dit *dit, float timestep, float *wave, float *out,
                           svr_error *err)
{
    const svr_weights *weights = svr_store_weights(dit->store);
    size_t dim = (size_t) dit->config.dim;
    size_t freqs = (size_t) dit->config.time_freqs;
    float *first = wave + freqs, *second = first + dim;
    const host_linear in = {"emb_in.proj_in", wave, first, 1, dim, freqs};
    const host_linear hid = {"emb_in.proj_hid", first, second, 1, dim, dim};
    const host_linear last = {"emb_in.proj_out", second, out, 1, 6 * dim, dim};

    sinusoid(timestep, wave, dit->config.time_freqs);
    SVR_TRY(host_linear_run(weights, &in, err));
    silu(first, dim);
    SVR_TRY(host_linear_run(weights, &hid, err));
    silu(second, dim);
    return host_linear_run(weights, &last, err);
}

svr_status svr_dit_time_embedding(const svr_dit *dit, float timestep, float *out, svr_error *err)
{
    size_t freqs = (size_t) dit->config.time_freqs;
    float *wave = malloc((freqs + 2 * (size_t) dit->config.dim) * sizeof(float));

    if (!wave)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the time embedding");
    svr_status status = time_mlp(dit, timestep, wave, out, err);
    free(wave);
    return status;
}

/* ---------------------------------------------------------------------------- modulation */

/* out [D] = slice (part, kind) of emb + tensor `name`. */
static svr_status add_embedding(const svr_weights *weights, const char *name, const float *emb,
                                size_t dim, float *out, svr_error *err)
{
    SVR_TRY(svr_weights_read(weights, name, out, dim, err));
    for (size_t c = 0; c < dim; c++)
        out[c] += emb[c * DIT_PARTS * DIT_KINDS];
    return SVR_OK;
}

/* The six vectors of one branch of a block; zero where nobody needs them and the file lacks them.
 */
static svr_status fill_set(const svr_dit *dit, int layer, dit_stream stream, const float *emb,
                           float *modulation, svr_error *err)
{
    const svr_weights *weights = svr_store_weights(dit->store);
    size_t dim = (size_t) dit->config.dim;
    size_t set = (size_t) svr_dit_modulation_set(&dit->config, layer, stream);
    char name[DIT_NAME_SIZE];

    for (int i = 0; i < DIT_PARTS * DIT_KINDS; i++) {
        float *out = modulation + (set * DIT_PARTS * DIT_KINDS + (size_t) i) * dim;
        svr_dit_modulation_name(&dit->config, layer, stream, i, name);
        if (svr_weights_find(weights, name))
            SVR_TRY(add_embedding(weights, name, emb + i, dim, out, err));
    }
    return SVR_OK;
}

static svr_status fill_modulation(const svr_dit *dit, const float *emb, float *modulation,
                                  svr_error *err)
{
    for (int layer = 0; layer < dit->config.layers; layer++) {
        SVR_TRY(fill_set(dit, layer, DIT_VIDEO, emb, modulation, err));
        if (svr_dit_is_split(&dit->config, layer))
            SVR_TRY(fill_set(dit, layer, DIT_TEXT, emb, modulation, err));
    }
    return SVR_OK;
}

/* The head of the 3B takes the attention's shift and scale of the embedding. */
static svr_status fill_head(const svr_dit *dit, const float *emb, float *head, svr_error *err)
{
    const svr_weights *weights = svr_store_weights(dit->store);
    size_t dim = (size_t) dit->config.dim;

    SVR_TRY(add_embedding(weights, "vid_out_ada.out_shift", emb + DIT_SHIFT, dim, head, err));
    return add_embedding(weights, "vid_out_ada.out_scale", emb + DIT_SCALE, dim, head + dim, err);
}

/* Modulation, then head, in new host memory that the caller frees. */
static svr_status fold_constants(const svr_dit *dit, const float *emb, float **out, svr_error *err)
{
    size_t dim = (size_t) dit->config.dim;
    size_t rows = (size_t) modulation_sets(&dit->config) * DIT_PARTS * DIT_KINDS;
    float *values = calloc((rows + 2) * dim, sizeof(float));

    if (!values)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the modulation of %d blocks",
                        dit->config.layers);
    svr_status status = fill_modulation(dit, emb, values, err);
    if (status == SVR_OK && dit->config.kind == SVR_MODEL_DIT_3B)
        status = fill_head(dit, emb, values + rows * dim, err);
    if (status != SVR_OK)
        free(values);
    else
        *out = values;
    return status;
}

/* ---------------------------------------------------------------------------- creation */

static svr_status upload(svr_backend *backend, const float *folded, const float *txt,
                         svr_dit_condition *condition, svr_error *err)
{
    const svr_dit_config *config = &condition->config;
    int64_t rows = (int64_t) modulation_sets(config) * DIT_PARTS * DIT_KINDS;
    dit_table list[3] = {{&condition->txt, txt}, {&condition->modulation, folded}};
    size_t count = 2;

    condition->txt = svr_tensor_2d(NULL, SVR_F32, condition->text_len, config->dim);
    condition->modulation = svr_tensor_2d(NULL, SVR_F32, rows, config->dim);
    if (config->kind == SVR_MODEL_DIT_3B) {
        condition->head = svr_tensor_2d(NULL, SVR_F32, 2, config->dim);
        list[count++] = (dit_table){&condition->head, folded + rows * config->dim};
    }
    return svr_dit_tables_upload(backend, list, count, &condition->tables, err);
}

svr_status svr_dit_condition_from(svr_backend *backend, const svr_dit *dit, const float *emb,
                                  const svr_dit_text *txt, svr_dit_condition **out, svr_error *err)
{
    float *folded = NULL;

    assert(txt->len > 0);
    svr_dit_condition *condition = calloc(1, sizeof(*condition));
    if (!condition)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the condition of the transformer");
    condition->config = dit->config;
    condition->text_len = txt->len;
    svr_status status = fold_constants(dit, emb, &folded, err);
    if (status == SVR_OK)
        status = upload(backend, folded, txt->values, condition, err);
    free(folded);
    if (status != SVR_OK)
        svr_dit_condition_destroy(condition);
    else
        *out = condition;
    return status;
}

svr_status svr_dit_condition_create(svr_backend *backend, const svr_dit *dit, float timestep,
                                    const svr_dit_text *text, svr_dit_condition **out,
                                    svr_error *err)
{
    size_t dim = (size_t) dit->config.dim;
    size_t tokens = (size_t) text->len;
    float *emb = malloc((6 + tokens) * dim * sizeof(float));

    assert(text->len > 0);
    if (!emb)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for a text of %d tokens", text->len);
    float *txt = emb + 6 * dim;
    svr_dit_text projected = {txt, text->len};
    host_linear txt_in = {"txt_in", text->values, txt, tokens, dim, (size_t) dit->config.txt_in};
    svr_status status = svr_dit_time_embedding(dit, timestep, emb, err);
    if (status == SVR_OK)
        status = host_linear_run(svr_store_weights(dit->store), &txt_in, err);
    if (status == SVR_OK)
        status = svr_dit_condition_from(backend, dit, emb, &projected, out, err);
    free(emb);
    return status;
}

void svr_dit_condition_destroy(svr_dit_condition *condition)
{
    if (!condition)
        return;
    svr_dit_tables_free(&condition->tables);
    free(condition);
}
