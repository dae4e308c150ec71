/* What the references of the network ops share. */
#ifndef SVR_TESTS_OPS_REFERENCE_INTERNAL_H
#define SVR_TESTS_OPS_REFERENCE_INTERNAL_H

#include "reference.h"

static inline double *f64(const svr_tensor *t)
{
    return t->data;
}

double reference_silu(double x);
double reference_activate(double x, svr_activation activation);

/* Adds the products of n values to *sum and their absolute values to *mass. */
void reference_add_products(const double *x, const double *w, int64_t n, double *sum, double *mass);

#endif
