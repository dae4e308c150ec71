/* Correct arguments for every op, at addresses that nothing may touch; tests spoil copies of them.
 */
#ifndef SVR_TESTS_OP_CASES_H
#define SVR_TESTS_OP_CASES_H

#include "backend/ops.h"

/* good_conv3d(), good_group_norm(), … */
#define GOOD_CASE(name) svr_##name##_args good_##name(void);
SVR_OP_LIST(GOOD_CASE)
#undef GOOD_CASE

#endif
