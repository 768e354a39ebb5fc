/* limits.h: every bound on what an input may ask of us, in one place. A file that goes over one of them is hostile or broken;
 * the sentence names the limit. Real files stay far below: the largest seen are in brackets. */
#ifndef EM_BASE_LIMITS_H
#define EM_BASE_LIMITS_H

/* One object. */
#define EM_MAX_PHDRS 1024u                  /* program headers [14; the kernel takes 1170 of a program] */
#define EM_MAX_SECTIONS (1u << 18)          /* section headers [some 70,000 in -ffunction-sections objects] */
#define EM_MAX_PLACES (1u << 24)            /* of an object that is edited: section headers times program headers [1 million] */
#define EM_MAX_SEARCHED ((uint64_t)2 << 30) /* bytes that are searched for names, trampolines, GPU code [130 MB cuDNN 8] */
#define EM_MAX_GPU_SETS 4096u               /* different sets of architectures that containers of GPU code have [20] */
#define EM_MAX_DYNAMIC (1u << 14)           /* dynamic entries [200] */
#define EM_MAX_DYNSTR                                                                                                          \
    ((uint64_t)96 << 20) /* bytes of .dynstr, and of strings copied from it [27 MB libcusparseLt, 60 MB a browser] */
#define EM_MAX_NAMES ((uint64_t)4 << 20)  /* bytes of what dynamic entries and versions name, each time that they do [200 KB] */
#define EM_MAX_TABLE ((uint64_t)64 << 20) /* bytes of one table of symbols that is rewritten in memory [7 MB libtorch_cuda] */
#define EM_MAX_HOLE ((uint64_t)64 << 20)  /* bytes of a sparse file that the size of .bss may cost */
#define EM_MAX_NOTES ((uint64_t)1 << 20)  /* bytes of all PT_NOTEs [some hundred] */
#define EM_MAX_VERSIONS (1u << 20)        /* verneed and verdef records in one object */
#define EM_MAX_PATH_LIST (1u << 16)       /* bytes of an RPATH, RUNPATH or LD_LIBRARY_PATH [3 KB]: all of it per name */
#define EM_MAX_TRIES (1u << 18)           /* NEEDED of an object times directories of its path [1,500] */

/* Sparse files, that have hardly anything but holes, and are read whole. */
#define EM_MAX_HOLES ((uint64_t)1 << 30)     /* bytes of nothing in one of them, */
#define EM_MAX_ALL_HOLES ((uint64_t)4 << 30) /* and in all that one run reads */
#define EM_HOLES_FROM ((uint64_t)64 << 10)   /* bytes of a file of which it is asked whether it is one */

/* All objects of a target. */
#define EM_MAX_STEPS (1u << 22) /* libraries asked for and directories tried, in all the processes of one diagnosis [300,000] */
#define EM_MAX_WHEEL_OBJECTS 8192u /* in one wheel, which is looked at in one piece [1,500] */
#define EM_MAX_FAMILY 512u /* libraries of one family, in one major, that are held against each other [240, of thirty venvs] */
#define EM_MAX_LOOKS (1u << 18) /* directories that path lists name and that are not there, and those above them [2,000] */
#define EM_STEPS_TO_MAP 6u      /* what a library counts for that is mapped */
#define EM_MAX_DIAGNOSIS ((uint64_t)96 << 20)        /* bytes of memory for what one diagnosis finds out, */
#define EM_MAX_DIAGNOSIS_OBJECT ((uint64_t)24 << 10) /* and so many more for each object [20 KB, of 1,500 objects] */
#define EM_MAX_PROCESS ((uint64_t)48 << 20)          /* bytes of memory for one of its processes [2 MB] */
#define EM_MAX_SHOWN ((uint64_t)48 << 20)       /* bytes of memory for what show says of one file [2 MB of libtorch's wheel], */
#define EM_MAX_SHOWN_OBJECT ((uint64_t)6 << 10) /* and so many more for each object of a wheel [3 KB, of small ones], */
#define EM_MAX_SHOWN_WHEEL ((uint64_t)96 << 20) /* but no more than that in all; as JSON it takes as much again */

/* Texts. */
#define EM_MAX_RECORD ((uint64_t)64 << 20)      /* bytes of a RECORD [3 MB] */
#define EM_MAX_RECORD_ROWS 150000u              /* its rows [67,000, of a wheel of so many members] */
#define EM_MAX_METADATA ((uint64_t)16 << 20)    /* bytes of METADATA, WHEEL, pyvenv.cfg [1 MB] */
#define EM_MAX_CACHE ((uint64_t)64 << 20)       /* bytes of ld.so.cache [1 MB] */
#define EM_MAX_INTERPRETER ((uint64_t)16 << 20) /* bytes of a dynamic loader [2 MB musl with debug information] */
#define EM_MAX_IGNORE ((uint64_t)64 << 10)      /* bytes of an .elfmendignore [some hundred], */
#define EM_MAX_IGNORE_RULES 1000u               /* and its rules: each is held against each finding */
#define EM_MAX_JSON ((uint64_t)32 << 20)        /* bytes of a plan, world, table, conda package's list [5 MB] */
#define EM_MAX_JSON_VALUES 500000u              /* values in it [100,000] */
#define EM_MAX_JOURNAL ((uint64_t)64 << 20)     /* bytes of a journal: some 300 an entry */
#define EM_MAX_JOURNAL_ENTRIES 250000u          /* files of one transaction [25,000] */

/* Trees. */
#define EM_MAX_TREE_DEPTH 256u /* directories in directories while a tree is walked */
#define EM_MAX_LINKS 40        /* links on the way to a file: as the kernel, path_resolution(7) */
#define EM_MAX_XATTR 65536     /* bytes of one extended attribute, and of their names: as the kernel, xattr(7) */
#define EM_MAX_MOVES 10000u    /* steps in which glibc's order of initialisation is found */

/* Archives that libraries come from. */
#define EM_MAX_ARCHIVE_MEMBERS (1u << 20)
#define EM_MAX_ARCHIVE_RATIO 200u /* bytes from one */

/* Zip archives. The ratio is PyPI's, and counts from a size on; deflate itself ends near 1032. */
#define EM_MAX_ZIP_MEMBERS 100000u                /* [67,000] */
#define EM_MAX_ZIP_DIRECTORY ((uint64_t)64 << 20) /* bytes of the central directory [8 MB] */
#define EM_MAX_ZIP_MEMORY ((uint64_t)16 << 20)    /* bytes of what is remembered of one [1.9 MB torch 2.8.0] */
#define EM_MAX_ZIP_NAME 4095u                     /* bytes of a name: what can be a path (PATH_MAX) [250] */
#define EM_MAX_ZIP_FOLDERS ((uint64_t)16 << 20)   /* bytes of the names of all directories together [300 KB] */
#define EM_MAX_ZIP_RATIO 50u                      /* bytes from one */
#define EM_ZIP_RATIO_FROM ((uint64_t)64 << 20)

#endif
