/* Checks for test programs: a failed one prints where and what, and ends the program with status 1.
 *
 *     static void test_something(void) { CHECK(x == 3); CHECK_OK(f(&err), err); }
 *     int main(void) { RUN(test_something); return check_done(); } */
#ifndef SVR_TESTS_CHECK_H
#define SVR_TESTS_CHECK_H

#include "base/status.h"

#include <stddef.h>

enum { CHECK_SKIP = 77 };

/* Fails unless `cond` holds. */
#define CHECK(cond) ((cond) ? (void) 0 : check_failed(#cond, __FILE__, __LINE__))

/* Fails unless `call` is SVR_OK; prints the text of `err`. */
#define CHECK_OK(call, err) check_status((call), SVR_OK, &(err), #call, __FILE__, __LINE__)

/* Fails unless `call` gives `want`; an empty error text fails too.  Clears `err`. */
#define CHECK_FAILS(call, want, err) check_status((call), (want), &(err), #call, __FILE__, __LINE__)

/* Fails unless `text` contains `part`. */
#define CHECK_TEXT(text, part) check_text((text), (part), __FILE__, __LINE__)

/* Fails unless |got - want| <= limit (NaN fails). */
#define CHECK_NEAR(got, want, limit)                                                               \
    check_near((double) (got), (double) (want), (double) (limit), #got, __FILE__, __LINE__)

/* Runs a test function and counts it. */
#define RUN(fn) check_run((fn), #fn)

_Noreturn void check_failed(const char *what, const char *file, int line);
void check_status(svr_status got, svr_status want, svr_error *err, const char *what,
                  const char *file, int line);
void check_text(const char *text, const char *part, const char *file, int line);
void check_near(double got, double want, double limit, const char *what, const char *file,
                int line);
void check_run(void (*fn)(void), const char *name);

/* Prints how many tests ran; the exit status for main(): 0, or 1 when none ran. */
int check_done(void);

#endif
