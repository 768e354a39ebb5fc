/* attack ELFMEND ROUNDS: root repairs and undoes a tree that belongs to somebody else, who meanwhile swaps its directories for links;
 * and root repacks wheels into a directory of his.
 *
 * The user owns the tree t; victim is root's, and has files of the same names. In one process the user swaps t/pkg, t/pkg/libs and
 * t/pkg-1.dist-info for links to victim and back, moves .elfmend away and back, and puts a directory of his own in its place, as
 * fast as he can. In the other root applies the plan and undoes it, ROUNDS times. Then he does the like to what appears in a directory
 * into which root repacks a wheel, with an index: the hidden directory, the project's, the files, while they are there. What becomes
 * of his own is the user's affair. Nothing in victim may change, and nothing may appear in it. Prints TAP without numbers and a plan.
 */
#include "tests/faults/stage.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define USER 65534

static void swap_for_link(const char *path, const char *victim)
{
    char aside[64];

    snprintf(aside, sizeof aside, "%s.aside", path);
    if (rename(path, aside) < 0)
        return;
    (void)!symlink(victim, path);
    /* For some time, so that each step of the other has its chance to meet it. */
    usleep((useconds_t)(random() % 300));
    unlink(path);
    (void)!rename(aside, path);
}

static void swap_store(void)
{
    if (rename("t/.elfmend", "t/hidden") < 0)
        return;
    if (random() % 2)
        (void)!symlink("../victim", "t/.elfmend");
    else
        (void)!mkdir("t/.elfmend", 0777);
    usleep((useconds_t)(random() % 300));
    if (unlink("t/.elfmend") < 0)
        rmdir("t/.elfmend");
    (void)!rename("t/hidden", "t/.elfmend");
}

static void attack_tree(void)
{
    for (unsigned i = 0;; i++) {
        switch (i % 4) {
        case 0: swap_for_link("t/pkg", "../victim/pkg"); break;
        case 1: swap_for_link("t/pkg-1.dist-info", "../victim/pkg-1.dist-info"); break;
        case 2: swap_for_link("t/pkg/libs", "../../victim/pkg"); break;
        case 3: swap_store(); break;
        }
        usleep((useconds_t)(random() % 300));
    }
}

/* The tree as it was, the user's, whatever the last round has left. */
static void set_right(void)
{
    stage_make_tree();
    if (system("chown -R 65534:65534 t && chmod 755 t t/pkg t/pkg-1.dist-info") != 0)
        die("cannot give the tree away");
}

/* ---- where a wheel is repacked to ---- */

/* Whatever is in there now, hidden or not. */
static void swap_all(const char *directory, const char *victim)
{
    struct dirent **names;
    int count = scandir(directory, &names, NULL, NULL);

    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        char path[512];

        snprintf(path, sizeof path, "%s/%s", directory, name);
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strstr(name, ".aside"))
            swap_for_link(path, names[i]->d_type == DT_DIR ? victim : "../../victim/file");
        free(names[i]);
    }
    if (count >= 0)
        free(names);
}

static void attack_output(void)
{
    for (;;) {
        swap_all("t/out", "../../victim/pkg");
        swap_all("t/simple", "../../victim/pkg");
        swap_all("t/simple/pkg", "../../../victim/pkg");
    }
}

static void make_wheel(void)
{
    if (system("mkdir w w/pkg w/pkg-1.0.dist-info && cc -shared -fPIC -o libcublas.so.12 f.c -Wl,-soname,libcublas.so.12 && "
               "cc -shared -fPIC -o w/pkg/_ext.abi3.so f.c -Wl,--no-as-needed libcublas.so.12 && "
               "printf 'Metadata-Version: 2.1\\nName: pkg\\nVersion: 1.0\\n' > w/pkg-1.0.dist-info/METADATA && "
               "printf 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: cp311-abi3-linux_x86_64\\n' > "
               "w/pkg-1.0.dist-info/WHEEL "
               "&& python3 \"$ELFMEND_TOP/tests/cli/pack_wheel.py\" w pkg-1.0-cp311-abi3-linux_x86_64.whl") != 0)
        die("cannot make a wheel");
}

/* What the user has left in the way goes, so that the next round begins from nothing. */
static void set_output_right(void)
{
    if (system("rm -rf t && mkdir t t/out t/simple t/simple/pkg && chown -R 65534:65534 t") != 0)
        die("cannot make a place for the wheel");
}

static bool repack(void)
{
    const char *const arguments[] = { "elfmend", "repack",  "--quiet",  "-o",
                                      "t/out",   "--index", "t/simple", "pkg-1.0-cp311-abi3-linux_x86_64.whl",
                                      NULL };

    return stage_run(NULL, arguments) == 0;
}

/* ---- both ---- */

static pid_t let_loose(void (*attack)(void))
{
    pid_t child = fork();

    if (child < 0)
        die("cannot have an attacker");
    if (child > 0)
        return child;
    if (setgid(USER) < 0 || setuid(USER) < 0)
        _exit(1);
    srandom((unsigned)getpid());
    attack();
    _exit(0);
}

static void stop(pid_t attacker)
{
    kill(attacker, SIGKILL);
    waitpid(attacker, NULL, 0);
}

static char *victim_now(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *pipe = popen(
        "find victim -printf '%p %y %i %m %u %n %T@ ' \\( -type f -exec sha256sum {} \\; -o -printf '\\n' \\) | sort", "r");

    if (!pipe || getdelim(&text, &size, '\0', pipe) < 0 || pclose(pipe) != 0)
        die("cannot look at the victim");
    return text;
}

static bool is_untouched(char *before, unsigned long rounds, const char *what)
{
    char *after = victim_now();
    const bool same = strcmp(before, after) == 0;

    printf("%sok - %lu attacks on %s change nothing outside\n", same ? "" : "not ", rounds, what);
    if (!same)
        printf("# before:\n%s# after:\n%s", before, after);
    stage_tally(what, "attacked", rounds);
    stage_tally(what, "losses", !same);
    fflush(stdout);
    free(before);
    free(after);
    return same;
}

static bool on_tree(unsigned long rounds)
{
    unsigned long done = 0, undone = 0;
    char *before = victim_now();
    bool same;

    set_right();
    if (stage_apply(NULL) != 0 || stage_undo(NULL) != 0)
        die("it does not go through even without an attack");
    for (unsigned long round = 0; round < rounds; round++) {
        pid_t attacker;

        if (round % 20 == 0)
            set_right();
        attacker = let_loose(attack_tree);
        done += stage_apply(NULL) == 0;
        undone += stage_undo(NULL) == 0;
        stop(attacker);
        /* What the user was stopped in is put straight, so that the next round has something to repair. */
        if (system("cd t && for d in pkg pkg-1.dist-info; do [ ! -d $d.aside ] || { rm -f $d; mv $d.aside $d; }; done; "
                   "[ ! -d hidden ] || { rm -rf .elfmend; mv hidden .elfmend; }; [ ! -L .elfmend ] || rm .elfmend") != 0)
            die("cannot put the tree straight");
    }
    same = is_untouched(before, rounds, "a tree");
    printf("# %lu repairs and %lu undos went through all the same\n", done, undone);
    return same;
}

static bool on_output(unsigned long rounds)
{
    unsigned long done = 0;
    char *before = victim_now();
    bool same;

    make_wheel();
    set_output_right();
    if (!repack())
        die("a wheel is not repacked even without an attack");
    for (unsigned long round = 0; round < rounds; round++) {
        pid_t attacker;

        set_output_right();
        attacker = let_loose(attack_output);
        done += repack();
        stop(attacker);
    }
    same = is_untouched(before, rounds, "repack");
    printf("# %lu wheels were repacked all the same\n", done);
    return same;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    bool same;

    if (argc < 3)
        die("usage: attack ELFMEND ROUNDS");
    stage.elfmend = argv[1];
    stage.kept = em_arena_new();
    stage.point = em_arena_new();
    if (!stage.kept || !stage.point || chmod(".", 0755) < 0)
        die("no memory");
    setenv("ELFMEND_CACHE", "/dev/null", 1);
    stage_make();
    if (system("cp -a t victim && mkdir victim/pkg/libs && echo > victim/file && chmod 755 victim victim/*") != 0)
        die("cannot make the victim");
    same = on_tree(rounds);
    return on_output(rounds) && same ? 0 : 1;
}
