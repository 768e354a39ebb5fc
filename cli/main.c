#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#ifndef EM_VERSION
#define EM_VERSION "0.1.0"
#endif

static const struct em_command *const commands[] = {
    &em_audit_command,   &em_fix_command,  &em_apply_command,  &em_undo_command,  &em_verify_command, &em_trace_command,
    &em_explain_command, &em_show_command, &em_repack_command, &em_patch_command, &em_doctor_command,
};

static void print_help(FILE *stream)
{
    fputs("usage: elfmend COMMAND [OPTIONS] [ARGUMENTS]\n\n"
          "Finds out why native libraries of a Python environment fail to load, and repairs the files themselves.\n\n"
          "    elfmend audit .venv     what will fail to load, and why\n"
          "    elfmend fix .venv       repair it, and prove it\n"
          "    elfmend undo .venv      every file back as it was\n\n",
          stream);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(stream, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n`elfmend COMMAND --help` has an example and the options of each. --version prints the version.\n"
          "Exit status: 0 nothing wrong, or all mended; 1 problems remain; 2 it could not be done, and nothing has changed.\n",
          stream);
}

/* argv begins with the command's name. */
static int run_command(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[0], commands[i]->name) == 0)
            return commands[i]->run(argc, argv);
    fprintf(stderr, "elfmend: %s: no such command; `elfmend --help` lists them\n", argv[0]);
    return EM_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    const char *self = em_path_basename(argv[0]);

    /* Installed under patchelf's name, the program is patchelf. */
    if (strcmp(self, "patchelf") == 0)
        return em_cmd_patch(argc, argv);
    if (argc < 2) {
        print_help(stderr);
        return EM_EXIT_FAILED;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("elfmend " EM_VERSION);
        return EM_EXIT_OK;
    }
    /* "help COMMAND" is "COMMAND --help". */
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        char *asked[] = { argc > 2 ? argv[2] : NULL, (char[]){ "--help" }, NULL };

        if (asked[0])
            return run_command(2, asked);
        print_help(stdout);
        return EM_EXIT_OK;
    }
    return run_command(argc - 1, argv + 1);
}

/* Whoever starts us with a standard stream closed would have the next file that we open get its number, and what is said to the user
 * written into that. What takes its place cannot be written to, or read: the error stays. */
static void hold_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)!open("/", O_PATH);
}

int main(int argc, char **argv)
{
    hold_streams();
    /* What we make is for others as they have it; ourselves we have to come back to it. */
    umask(umask(0) & 077);
    /* Dates in archives are local time to libzip; ours never are. */
    setenv("TZ", "UTC0", 1);
    tzset();
    return em_finish_output(run(argc, argv));
}
