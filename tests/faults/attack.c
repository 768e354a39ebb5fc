/* attack ELFMEND ROUNDS [--after N]: root repairs and undoes a tree that belongs to somebody else, who meanwhile swaps its directories for links.
 *
 * The user owns the tree t; victim is root's, and has files of the same names. In one process the user swaps t/pkg, t/pkg/libs and
 * t/pkg-1.dist-info for links to victim and back, moves .elfmend away and back, and puts a directory of his own in its place, as
 * fast as he can. In the other root applies the plan and undoes it, ROUNDS times. What becomes of t is the user's affair. Nothing in
 * victim may change, and nothing may appear in it. Prints TAP without a plan.
 */
#include "tests/faults/stage.h"

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

static void attack(void)
{
    if (setgid(USER) < 0 || setuid(USER) < 0)
        _exit(1);
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

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, done = 0, undone = 0;
    char *before, *after;
    int changed;

    if (argc < 3)
        die("usage: attack ELFMEND ROUNDS");
    stage.elfmend = argv[1];
    stage.kept = em_arena_new();
    stage.point = em_arena_new();
    if (!stage.kept || !stage.point || chmod(".", 0755) < 0)
        die("no memory");
    stage_make();
    if (system("cp -a t victim && mkdir victim/pkg/libs && chmod 755 victim victim/*") != 0)
        die("cannot make the victim");
    before = victim_now();
    set_right();
    if (stage_apply(NULL) != 0 || stage_undo(NULL) != 0)
        die("it does not go through even without an attack");
    for (unsigned long round = 0; round < rounds; round++) {
        pid_t child;

        if (round % 20 == 0)
            set_right();
        child = fork();
        if (child == 0)
            attack();
        done += stage_apply(NULL) == 0;
        undone += stage_undo(NULL) == 0;
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        /* What the user was stopped in is put straight, so that the next round has something to repair. */
        if (system("cd t && for d in pkg pkg-1.dist-info; do [ ! -d $d.aside ] || { rm -f $d; mv $d.aside $d; }; done; "
                   "[ ! -d hidden ] || { rm -rf .elfmend; mv hidden .elfmend; }; [ ! -L .elfmend ] || rm .elfmend") != 0)
            die("cannot put the tree straight");
    }
    after = victim_now();
    printf("%sok %d - %lu attacks change nothing outside\n", strcmp(before, after) == 0 ? "" : "not ",
           argc > 4 ? atoi(argv[4]) + 1 : 1, rounds);
    if (strcmp(before, after) != 0)
        printf("# before:\n%s# after:\n%s", before, after);
    printf("# %lu repairs and %lu undos went through all the same\n", done, undone);
    changed = strcmp(before, after) != 0;
    free(before);
    free(after);
    return changed;
}
