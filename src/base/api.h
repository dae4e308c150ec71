/* Marks the functions that libseedvr2 exports; all others are the engine's own, also where a header
 * that is installed declares them.  Level 0. */
#ifndef SVR_BASE_API_H
#define SVR_BASE_API_H

#if defined(__GNUC__)
#define SVR_API __attribute__((visibility("default")))
#else
#define SVR_API
#endif

#endif
