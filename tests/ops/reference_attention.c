#include "reference_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Row pointers of one attention: softmax(q k^T scale) v. */
typedef struct rows {
    const double **q, **k, **v;
    int64_t queries, keys, width;
} rows;

static void attend(const rows *r, int64_t query, double *out)
{
    double *p = calloc((size_t) r->keys, sizeof *p), most = -INFINITY, sum = 0;

    if (!p)
        abort();
    for (int64_t j = 0; j < r->keys; j++) {
        for (int64_t c = 0; c < r->width; c++)
            p[j] += r->q[query][c] * r->k[j][c];
        p[j] /= sqrt((double) r->width);
        most = p[j] > most ? p[j] : most;
    }
    for (int64_t j = 0; j < r->keys; j++)
        sum += p[j] = exp(p[j] - most);
    for (int64_t c = 0; c < r->width; c++) {
        out[c] = 0;
        for (int64_t j = 0; j < r->keys; j++)
            out[c] += p[j] / sum * r->v[j][c];
    }
    free(p);
}

static rows rows_make(int64_t count, int64_t width)
{
    rows r = {.queries = count, .keys = count, .width = width};

    r.q = calloc((size_t) (3 * count), sizeof *r.q);
    if (!r.q)
        abort();
    r.k = r.q + count;
    r.v = r.k + count;
    return r;
}

void reference_frame_attention(const svr_frame_attention_args *a)
{
    int64_t L = a->q.dims[1], C = a->q.dims[2];
    rows r = rows_make(L, C);

    for (int64_t t = 0; t < a->q.dims[0]; t++) {
        for (int64_t i = 0; i < L; i++) {
            r.q[i] = f64(&a->q) + (t * L + i) * C;
            r.k[i] = f64(&a->k) + (t * L + i) * C;
            r.v[i] = f64(&a->v) + (t * L + i) * C;
        }
        for (int64_t i = 0; i < L; i++)
            attend(&r, i, f64(&a->y) + (t * L + i) * C);
    }
    free(r.q);
}

/* Text results are added to text [L, heads * hd], which may be NULL. */
static void attend_window(const svr_window_attention_args *a, int window, int64_t head,
                          double *text)
{
    int64_t heads = a->vid.dims[2], hd = a->vid.dims[3], L = a->txt.dims[0];
    int64_t first = a->host_offsets[window], count = a->host_offsets[window + 1] - first;
    int64_t begin = first - a->host_offsets[0];
    const int32_t *order = a->order.data;
    double *out = calloc((size_t) hd, sizeof *out);
    rows r = rows_make(count + L, hd);

    if (!out)
        abort();
    for (int64_t i = 0; i < count + L; i++) {
        int64_t row = i >= count ? 0 : order ? order[begin + i] : begin + i;
        const double *base = i < count ? f64(&a->vid) + row * 3 * heads * hd
                                       : f64(&a->txt) + (i - count) * 3 * heads * hd;

        r.q[i] = base + head * hd;
        r.k[i] = base + (heads + head) * hd;
        r.v[i] = base + (2 * heads + head) * hd;
    }
    for (int64_t i = 0; i < count + L; i++) {
        attend(&r, i, out);
        int64_t row = i >= count ? i - count : order ? order[begin + i] : begin + i;
        double *to = i < count ? f64(&a->out_vid) : text;

        for (int64_t c = 0; to && c < hd; c++) {
            double *y = to + (row * heads + head) * hd + c;

            *y = i < count ? out[c] : *y + out[c];
        }
    }
    free(r.q);
    free(out);
}

void reference_window_attention(const svr_window_attention_args *a)
{
    bool summed = svr_tensor_present(&a->text_sum);
    double *text = summed ? f64(&a->text_sum) : f64(&a->out_txt);
    int64_t n = a->txt.dims[0] * a->txt.dims[2] * a->txt.dims[3];

    if (text && a->windows_before == 0)
        memset(text, 0, (size_t) n * sizeof *text);
    for (int window = 0; window < a->window_count; window++)
        for (int64_t head = 0; head < a->vid.dims[2]; head++)
            attend_window(a, window, head, text);
    for (int64_t i = 0; svr_tensor_present(&a->out_txt) && i < n; i++)
        f64(&a->out_txt)[i] = text[i] / (a->windows_before + a->window_count);
}
