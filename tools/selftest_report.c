#include "selftest.h"

#include <stdio.h>

static const char *verdict_name(selftest_verdict verdict)
{
    static const char *const names[SELFTEST_VERDICTS] = {"pass", "FAIL", "skip", "info"};

    return names[verdict];
}

void selftest_report_begin(selftest_report *report, bool json)
{
    *report = (selftest_report){.json = json, .lines = g_string_new(NULL)};
}

/* As a JSON string; paths and messages may hold anything. */
static void append_string(GString *to, const char *text)
{
    g_string_append_c(to, '"');
    for (; *text; text++)
        if (*text == '"' || *text == '\\')
            g_string_append_printf(to, "\\%c", *text);
        else if ((unsigned char) *text < 0x20)
            g_string_append_printf(to, "\\u%04x", (unsigned) *text);
        else
            g_string_append_c(to, *text);
    g_string_append_c(to, '"');
}

static void append_line(GString *to, selftest_verdict verdict, const char *name, const char *text)
{
    g_autofree char *lower = g_ascii_strdown(verdict_name(verdict), -1);

    g_string_append_printf(to, "%s{\"name\": \"%s\", \"verdict\": \"%s\", \"text\": ",
                           to->len > 0 ? ", " : "", name, lower);
    append_string(to, text);
    g_string_append_c(to, '}');
}

void selftest_line(selftest_report *report, selftest_verdict verdict, const char *name,
                   const char *text, ...)
{
    g_autofree char *whole = NULL;
    va_list values;

    va_start(values, text);
    whole = g_strdup_vprintf(text, values);
    va_end(values);
    report->count[verdict]++;
    if (report->json) {
        append_line(report->lines, verdict, name, whole);
        return;
    }
    printf("[%s] %s: %s\n", verdict_name(verdict), name, whole);
    fflush(stdout);
}

void selftest_report_drop(selftest_report *report)
{
    g_string_free(report->lines, TRUE);
}

bool selftest_report_end(selftest_report *report)
{
    const int *n = report->count;

    if (report->json)
        printf("{\"passed\": %d, \"failed\": %d, \"skipped\": %d, \"checks\": [%s]}\n",
               n[SELFTEST_PASS], n[SELFTEST_FAIL], n[SELFTEST_SKIP], report->lines->str);
    else
        printf("%d passed, %d failed, %d skipped\n", n[SELFTEST_PASS], n[SELFTEST_FAIL],
               n[SELFTEST_SKIP]);
    selftest_report_drop(report);
    return n[SELFTEST_FAIL] == 0;
}
