/* recipe.h: a case for the loader, as data: files, a program, what it opens; read from text, written as text, laid out on disk.
 *
 * One line a thing, fields parted by spaces; "@" stands for the directory of the case.
 *
 *     object d0/lib0.so soname=lib0.so needed=lib1.so,lib2.so rpath=$ORIGIN:@/d1 runpath= filter=f auxiliary=a
 *            flags=nodeflib,noopen,pie verdef=V1,V2 verneed=lib1.so/V1/V2?  stack=exec  kind=class32     ("?" is weak)
 *     link d0/libx.so lib0.so          a symbolic link, and what it says
 *     hard d1/libx.so d0/lib0.so       a hard link
 *     text d0/libx.so hello            a file with these bytes
 *     directory d0/libx.so
 *     main rpath=... runpath=... needed=...
 *     environment d0:d1                LD_LIBRARY_PATH
 *     preload lib0.so
 *     cache d0 d1                      made by ldconfig of these directories
 *     open NAME                        dlopen by the program
 *     call PATH NAME                   dlopen by the object that is loaded as PATH, if it is
 *     expect ok ok no                  how the opens end ("start": the program does not start; "abort"), or
 *     listed d0/lib0.so ...            what is mapped at the end, in order, system libraries left out
 *
 * Both loaders must agree with each other, and with expect and listed where a recipe has them.
 */
#ifndef EM_TESTS_ORACLE_RECIPE_H
#define EM_TESTS_ORACLE_RECIPE_H

#include "base/base.h"

#include <stdio.h>

struct field {
    const char *name, *value;
};

struct line {
    const char *verb;
    const char *argument, *second; /* what is no field */
    struct {
        EM_VEC(struct field);
    } fields;
    struct em_strings rest; /* of "cache", "expect", "listed" */
    bool off;               /* left out, while a failing case shrinks */
};

struct recipe {
    struct em_arena *arena;
    struct {
        EM_VEC(struct line);
    } lines;
};

/* false and a message on stderr if text is no recipe. */
bool recipe_parse(struct recipe *recipe, struct em_arena *arena, const char *text);
void recipe_print(const struct recipe *recipe, FILE *stream, const char *prefix);

const char *line_field(const struct line *line, const char *name); /* NULL: it has none */

/* Lays the files out below directory, which is empty and absolute. */
bool recipe_build(const struct recipe *recipe, const char *directory);

/* text with every "@" replaced. */
const char *recipe_text(const struct recipe *recipe, const char *text, const char *directory);

/* A tiny object: a page of headers, dynamic section, strings and a few bytes of code. */
struct em_bytes object_make(struct em_arena *arena, const struct line *line, const char *directory);

/* Offset of code that calls its first argument with the second and third, so that the call comes from this object. */
#define OBJECT_CODE 0x200

#endif
