#include "document.h"

#include <string.h>

static void
section_free (gpointer data)
{
  Section *s = data;

  g_free (s->chapter);
  g_free (s->title);
  g_ptr_array_unref (s->fields);
  g_ptr_array_unref (s->sections);
  g_ptr_array_unref (s->pipelines);
  g_ptr_array_unref (s->runnable);
  g_free (s);
}

static Section *
section_new (const gchar *chapter, const gchar *title)
{
  Section *s = g_new0 (Section, 1);

  s->chapter = g_strdup (chapter);
  s->title = g_strdup (title);
  s->fields = g_ptr_array_new_with_free_func (g_free);
  s->sections = g_ptr_array_new_with_free_func (g_free);
  s->pipelines = g_ptr_array_new_with_free_func (g_free);
  s->runnable = g_ptr_array_new_with_free_func (g_free);
  return s;
}

/* Adds what stands between `open` and `close`, each time. */
static void
add_quoted (GPtrArray *to, const gchar *text, gsize length, gchar open,
            gchar close)
{
  gchar *cell = g_strndup (text, length);

  for (gchar *begin = strchr (cell, open); begin;) {
    gchar *end = strchr (begin + 1, close);

    if (!end)
      break;
    g_ptr_array_add (to, g_strndup (begin + 1, (gsize)(end - begin - 1)));
    begin = strchr (end + 1, open);
  }
  g_free (cell);
}

static void
read_row (Section *s, const gchar *line)
{
  const gchar *end = strchr (line + 1, '|');
  gsize length = end ? (gsize)(end - line - 1) : strlen (line + 1);

  add_quoted (s->fields, line + 1, length, '`', '`');
  add_quoted (s->sections, line + 1, length, '[', ']');
}

/* A command line without the program and its options. */
static void
read_command (Section *s, const gchar *line, gboolean runnable)
{
  const gchar *pipeline = line + strlen ("gst-launch-1.0 ");

  g_assert_true (g_str_has_prefix (line, "gst-launch-1.0 "));
  while (g_str_has_prefix (pipeline, "-"))
    pipeline = strchr (pipeline, ' ') + 1;
  g_ptr_array_add (s->pipelines, g_strdup (pipeline));
  if (runnable)
    g_ptr_array_add (s->runnable, g_strdup (pipeline));
}

/* Of a heading, without backquotes.  (transfer full) */
static gchar *
title_of (const gchar *line)
{
  gchar *title = g_strdup (strchr (line, ' ') + 1);

  return g_strstrip (g_strdelimit (title, "`", ' '));
}

static void
add_line (GPtrArray *document, const gchar *line, gchar **block)
{
  Section *last = document->len > 0
                      ? g_ptr_array_index (document, document->len - 1)
                      : NULL;
  g_autofree gchar *title
      = g_str_has_prefix (line, "##") ? title_of (line) : NULL;

  if (g_str_has_prefix (line, "```")) {
    g_autofree gchar *old = *block;

    *block = old ? NULL : g_strdup (line + 3);
  } else if (*block) {
    if (last && g_str_has_prefix (*block, "sh"))
      read_command (last, line, g_str_has_suffix (*block, " run"));
  } else if (g_str_has_prefix (line, "## ")) {
    g_ptr_array_add (document, section_new (title, ""));
  } else if (g_str_has_prefix (line, "### ")) {
    g_ptr_array_add (document, section_new (last ? last->chapter : "", title));
  } else if (last && g_str_has_prefix (line, "|")) {
    read_row (last, line);
  }
}

GPtrArray *
document_read (const gchar *path)
{
  GPtrArray *document = g_ptr_array_new_with_free_func (section_free);
  g_autofree gchar *text = NULL;
  gchar **lines, *block = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  for (gchar **line = lines; *line; line++)
    add_line (document, *line, &block);
  g_assert_null (block);
  g_strfreev (lines);
  return document;
}

const Section *
document_find (GPtrArray *document, const gchar *chapter, const gchar *title)
{
  for (guint i = 0; i < document->len; i++) {
    const Section *s = g_ptr_array_index (document, i);

    if (g_str_equal (s->chapter, chapter) && g_str_equal (s->title, title))
      return s;
  }
  return NULL;
}

void
document_add_fields (GPtrArray *document, const Section *section,
                     GHashTable *names)
{
  for (guint i = 0; i < section->fields->len; i++)
    g_hash_table_add (names, g_strdup (g_ptr_array_index (section->fields, i)));
  for (guint i = 0; i < section->sections->len; i++) {
    const Section *other = document_find (
        document, "Messages", g_ptr_array_index (section->sections, i));

    g_assert_nonnull (other);
    document_add_fields (document, other, names);
  }
}
