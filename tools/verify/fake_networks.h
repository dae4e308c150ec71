/* Stand-ins for the three networks, exactly defined, so that everything around them can be compared
 * with values that were made with the same stand-ins (pipe_e2e goldens).  They compute on the host,
 * whatever the backend. */
#ifndef SEEDVR2_VERIFY_FAKE_NETWORKS_H
#define SEEDVR2_VERIFY_FAKE_NETWORKS_H

#include "pipeline/networks.h"

/* `user` is handed back to the members, which do not look at it. */
svr_networks fake_networks(void *user);

#endif
