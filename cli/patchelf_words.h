/* patchelf_words.h: what patchelf 0.19 says of a matter. For cli/patch.c.
 *
 * Its manual has no list of messages, but build scripts look for some of them. Our own sentence is printed first, since it has the file
 * and the place; these words come behind it.
 */
#ifndef EM_CLI_PATCHELF_WORDS_H
#define EM_CLI_PATCHELF_WORDS_H

/* NULL: nobody looks for anything. */
const char *em_patchelf_words(const char *sentence);

#endif
