#include "pipeline/constants.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 8 };

/* Room for one more condition. */
static svr_status grow(svr_constants *c, svr_error *err)
{
    size_t wanted = c->condition_capacity ? 2 * c->condition_capacity : FIRST_CAPACITY;
    svr_condition_entry *larger;

    if (c->condition_count < c->condition_capacity)
        return SVR_OK;
    larger = realloc(c->conditions, wanted * sizeof *larger);
    if (!larger)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory for the model's constants");
    c->conditions = larger;
    c->condition_capacity = wanted;
    return SVR_OK;
}

static const svr_prompt *prompt_of(const svr_constants *c, bool negative)
{
    return negative ? &c->prompts->negative : &c->prompts->positive;
}

/* ------------------------------------------------------------------ conditions */

svr_status svr_constants_condition(svr_constants *c, float timestep, bool negative,
                                   const svr_dit_condition **out, svr_error *err)
{
    const svr_prompt *prompt = prompt_of(c, negative);
    svr_dit_text text = {prompt->values, prompt->length};
    svr_condition_entry entry = {timestep, negative, NULL};

    for (size_t i = 0; i < c->condition_count; i++) {
        if (c->conditions[i].timestep == timestep && c->conditions[i].negative == negative) {
            *out = c->conditions[i].condition;
            return SVR_OK;
        }
    }
    SVR_TRY(grow(c, err));
    SVR_TRY(svr_dit_condition_create(c->backend, c->dit, timestep, &text, &entry.condition, err));
    c->conditions[c->condition_count++] = entry;
    *out = entry.condition;
    return SVR_OK;
}

/* ------------------------------------------------------------------ geometries */

static void drop_geometry(svr_constants *c, size_t i)
{
    svr_dit_geometry_destroy(c->geometries[i].positive);
    svr_dit_geometry_destroy(c->geometries[i].negative);
    c->geometries[i] = c->geometries[--c->geometry_count];
}

/* Index of the grid's entry; geometry_count when there is none. */
static size_t find_geometry(const svr_constants *c, const int latent[3])
{
    size_t i = 0;

    while (i < c->geometry_count &&
           memcmp(c->geometries[i].latent, latent, sizeof c->geometries[i].latent) != 0)
        i++;
    return i;
}

/* Makes room for a grid: other picture sizes go, then the one that was not used for longest. */
static void make_room(svr_constants *c, const int latent[3])
{
    size_t oldest = 0;

    while (c->geometry_count > 0 &&
           (c->geometries[0].latent[1] != latent[1] || c->geometries[0].latent[2] != latent[2]))
        drop_geometry(c, 0);
    if (c->geometry_count < SVR_KEPT_GRIDS)
        return;
    for (size_t i = 1; i < c->geometry_count; i++)
        if (c->geometries[i].used < c->geometries[oldest].used)
            oldest = i;
    drop_geometry(c, oldest);
}

static svr_status make_geometry(svr_constants *c, svr_geometry_entry *entry, svr_error *err)
{
    SVR_TRY(svr_dit_geometry_create(c->backend, c->dit, entry->latent, c->prompts->positive.length,
                                    &entry->positive, err));
    if (!c->prompts->negative.values)
        return SVR_OK;
    return svr_dit_geometry_create(c->backend, c->dit, entry->latent, c->prompts->negative.length,
                                   &entry->negative, err);
}

svr_status svr_constants_prepare(svr_constants *c, const int latent[3], svr_error *err)
{
    svr_geometry_entry entry = {.latent = {latent[0], latent[1], latent[2]}};
    size_t found = find_geometry(c, latent);
    svr_status status;

    if (found == c->geometry_count) {
        make_room(c, latent);
        status = make_geometry(c, &entry, err);
        if (status != SVR_OK) {
            svr_dit_geometry_destroy(entry.positive);
            return status;
        }
        found = c->geometry_count++;
        c->geometries[found] = entry;
    }
    c->geometries[found].used = ++c->clock;
    return SVR_OK;
}

const svr_dit_geometry *svr_constants_geometry(const svr_constants *c, const int latent[3],
                                               bool negative)
{
    size_t found = find_geometry(c, latent);

    if (found == c->geometry_count)
        return NULL;
    return negative ? c->geometries[found].negative : c->geometries[found].positive;
}

void svr_constants_forget(svr_constants *c)
{
    while (c->geometry_count > 0)
        drop_geometry(c, 0);
}

void svr_constants_finish(svr_constants *c)
{
    svr_constants_forget(c);
    for (size_t i = 0; i < c->condition_count; i++)
        svr_dit_condition_destroy(c->conditions[i].condition);
    free(c->conditions);
    c->conditions = NULL;
    c->condition_count = c->condition_capacity = 0;
}
