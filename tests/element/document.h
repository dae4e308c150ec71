/* docs/element.md as the tests see it: sections with the names in their tables
 * and the pipelines in their code blocks. */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include <glib.h>

typedef struct {
  gchar *chapter;       /* heading of level 2 */
  gchar *title;         /* of level 3, without backquotes; "" above the first */
  GPtrArray *fields;    /* names in backquotes in first cells of its tables */
  GPtrArray *sections;  /* titles that first cells link to */
  GPtrArray *pipelines; /* behind gst-launch-1.0 and its options */
  GPtrArray *runnable;  /* of these, those marked so */
} Section;

/* The sections in order.  (transfer full): of Section */
GPtrArray *document_read (const gchar *path);

/* NULL where there is none. */
const Section *document_find (GPtrArray *document, const gchar *chapter,
                              const gchar *title);

/* Adds the fields of a section, and of those that its tables link to. */
void document_add_fields (GPtrArray *document, const Section *section,
                          GHashTable *names);

#endif
