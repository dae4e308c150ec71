/* The VAE in spatial tiles beside the VAE without: PSNR of tiles with shared statistics, and of the
 * reference's. */
#ifndef SEEDVR2_VERIFY_TILES_H
#define SEEDVR2_VERIFY_TILES_H

#include "verify/device.h"
#include "verify/picture.h"

typedef struct verify_tiles {
    device *device;
    svr_dtype storage;
    int size; /* pixels */
    const picture *picture;
    double least; /* PSNR of shared tiles that may be */
    int failed;   /* comparisons below it so far */
} verify_tiles;

/* Compares a VAE's mean, the picture decoded from the untiled mean, and the round trip; prints a
 * line each.  Errors: those of the VAE and of its file. */
SVR_CHECKED svr_status verify_tiles_of(verify_tiles *tiles, const char *path, svr_error *err);

#endif
