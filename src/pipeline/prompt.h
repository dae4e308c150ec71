/* Prompt embeddings: from a file of their own or from the transformer's.
 * Source: spec pipeline §8.  Level 5.  Thread: any. */
#ifndef SVR_PIPELINE_PROMPT_H
#define SVR_PIPELINE_PROMPT_H

#include "weights/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One embedding [length, width] on the host. */
typedef struct svr_prompt {
    float *values; /* NULL: there is none */
    int length;
} svr_prompt;

typedef struct svr_prompts {
    svr_prompt positive, negative;
} svr_prompts;

/* Reads `pos` and `neg` of the file at `text_path`, or with NULL positive_conditioning and
 * negative_conditioning of the transformer's file.  Both must be config->txt_in wide.  The positive
 * one must be there, the negative one with `need_negative`.  End with svr_prompts_finish().
 * Errors: IO, FORMAT, INVALID (none, or of another width: the text names file, tensor and
 * property), NO_MEM. */
SVR_CHECKED svr_status svr_prompts_init(const char *text_path, const svr_safetensors *dit_file,
                                        const svr_dit_config *config, bool need_negative,
                                        svr_prompts *out, svr_error *err);

/* Embeddings of the published lengths, 58 and 64 tokens, without content.  Errors: NO_MEM. */
SVR_CHECKED svr_status svr_prompts_published(int width, svr_prompts *out, svr_error *err);
void svr_prompts_finish(svr_prompts *prompts);

#ifdef __cplusplus
}
#endif
#endif
