/* Copies in the background at their very latest: one that nobody waits for is not done, so frames
 * that are read, freed or overwritten too early show. */
#ifndef SVR_TESTS_VAE_LAZY_COPIES_H
#define SVR_TESTS_VAE_LAZY_COPIES_H

#include "backend/backend.h"

/* Gives `backend`, whose ops and copies are finished when they return, such queues for the rest of
 * its life.  One at a time. */
void lazy_copies_install(svr_backend *backend);

/* Copies that were put off and done since the last call. */
int lazy_copies_done(void);

#endif
