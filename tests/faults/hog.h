/* Another process that takes nearly all memory of the GPU: this program, run with "hog". */
#ifndef SVR_TESTS_FAULTS_HOG_H
#define SVR_TESTS_FAULTS_HOG_H

#include <sys/types.h>

typedef struct hog {
    pid_t pid;
    int hold; /* while this is open, it keeps what it has */
} hog;

/* Returns when the memory is taken. */
void hog_start(hog *h);

/* Returns when the process has ended. */
void hog_end(hog *h);

/* The process itself: its exit status. */
int hog_main(void);

#endif
