#include "reference_pixels.h"

/* ---------------------------------------------------------------------------- geometry */

/* Element (t, y, x, c). */
static double *at(const svr_tensor *t, int64_t f, int64_t y, int64_t x, int64_t c)
{
    return (double *) t->data + ((f * t->dims[1] + y) * t->dims[2] + x) * t->dims[3] + c;
}

/* Indices of element `i` of a rank-4 tensor. */
typedef struct place {
    int64_t t, y, x, c;
} place;

static place place_of(const svr_tensor *t, int64_t i)
{
    int64_t row = t->dims[2] * t->dims[3], frame = t->dims[1] * row;

    return (place){i / frame, i % frame / row, i % row / t->dims[3], i % t->dims[3]};
}

static double tap(const svr_resize_axis *axis, int64_t o, int64_t j)
{
    return ((const double *) axis->weight.data)[o * axis->weight.dims[1] + j];
}

static int64_t first_tap(const svr_resize_axis *axis, int64_t o)
{
    return ((const int32_t *) axis->first.data)[o];
}

void reference_resize(const svr_resize_args *args)
{
    const svr_resize_axis *h = &args->horizontal, *v = &args->vertical;

    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);
        double sum = 0;

        for (int64_t k = 0; k < v->weight.dims[1]; k++)
            for (int64_t j = 0; j < h->weight.dims[1]; j++)
                sum += tap(v, p.y, k) * tap(h, p.x, j) *
                       *at(&args->x, p.t, first_tap(v, p.y) + k, first_tap(h, p.x) + j, p.c);
        ((double *) args->y.data)[i] = sum;
    }
}

void reference_to_model(const svr_to_model_args *args)
{
    int64_t height = args->x.dims[1], width = args->x.dims[2];

    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);
        bool inside = p.y < height && p.x < width;
        double v =
            *at(&args->x, p.t, p.y < height ? p.y : height - 1, p.x < width ? p.x : width - 1, p.c);

        ((double *) args->y.data)[i] =
            inside || args->padding != SVR_PADDING_BLACK ? 2 * reference_clamp(v, 0, 1) - 1 : -1;
    }
}

void reference_crop(const svr_crop_args *args)
{
    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);

        ((double *) args->y.data)[i] = *at(&args->x, p.t, p.y, p.x, p.c);
    }
}

void reference_blur(const svr_blur_args *args)
{
    static const double weights[3] = {0.25, 0.5, 0.25};

    for (int64_t i = 0; i < svr_tensor_elems(&args->y); i++) {
        place p = place_of(&args->y, i);
        double sum = 0;

        for (int k = 0; k < 9; k++)
            sum += weights[k % 3] * weights[k / 3] *
                   *at(&args->x, p.t,
                       reference_index(p.y + (k / 3 - 1) * args->radius, args->x.dims[1]),
                       reference_index(p.x + (k % 3 - 1) * args->radius, args->x.dims[2]), p.c);
        ((double *) args->y.data)[i] = sum;
    }
}
