/* power ELFMEND SHIM FS OPTIONS [--fast]: the power fails while elfmend works, at every call that changes something.
 *
 * The tree lies on a real file system FS, in an image behind a loop device. At the Nth call elfmend is killed and the image is
 * copied in the same moment: the copy has what the file system has written out by itself or been made to by fsync, and nothing
 * else, as a disk has after a power failure. The copy is mounted and elfmend goes on there. Three things are asked of it:
 *
 *   - each file has its old bytes or its new ones, before anything of ours runs;
 *   - the next run goes through, be it undo or apply; what had been reported as done is still done;
 *   - undo gives back every inode, mode, owner, time and byte of the beginning.
 *
 * That is the case in which most is lost. In the others more has reached the disk: there everything is written out after the Mth
 * call, for M below N, and the power fails at the Nth. On a file system that orders its metadata these are all cases.
 *
 * Needs root, a mount namespace of its own and loop devices.
 */
#include "tests/faults/stage.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MOST_FAILURES 10

static struct {
    const char *type, *options;
    bool fast;
    unsigned points, failures;
} power;

static bool shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool shell(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    fflush(stdout);
    return system(command) == 0;
}

static void must(bool done, const char *what)
{
    if (!done)
        die(what);
}

static void mount_image(const char *image)
{
    must(shell("mount -t %s -o loop,%s %s mnt", power.type, power.options, image), "cannot mount an image");
}

static void unmount(void)
{
    must(shell("umount mnt"), "cannot unmount an image");
}

/* The disk as it is at this moment becomes the disk that we go on with. */
static void power_fails(void)
{
    must(shell("cp --sparse=always work.img crash.img"), "cannot copy the image");
    unmount();
    mount_image("crash.img");
}

static void wrong(const char *command, const struct fault *fault, const char *what, int status)
{
    printf("# %s, power fails after call %lu, all written out after call %lu: %s (%d)\n", command, fault->at, fault->sync, what,
           status);
    fputs(stage_tree(stage.point, true), stdout);
    must(shell("ls -lRi mnt/t/.elfmend | sed 's/^/#   /'; sed 's/^/#   /' name err"), "cannot look");
    if (++power.failures >= MOST_FAILURES)
        die("too much is wrong");
}

/* The next run, on what is left. */
static void go_on(const char *command, const struct fault *fault, bool was_done)
{
    int status;

    power.points++;
    if (!stage_is_whole(stage_tree(stage.point, false))) {
        wrong(command, fault, "a file is neither old nor new", 0);
        return;
    }
    if (was_done && strcmp(command, "apply") == 0 && strcmp(stage_tree(stage.point, false), stage.new_contents) != 0)
        wrong(command, fault, "what was done is done no more", 0);
    if (strcmp(command, "apply") == 0 && (fault->at + fault->sync) % 2) {
        status = stage_apply(NULL);
        if ((status != 0 && status != 2) || strcmp(stage_tree(stage.point, false), stage.new_contents) != 0)
            wrong(command, fault, "the next apply did not go through", status);
    }
    status = stage_undo(NULL);
    if (status != 0 && status != 2)
        wrong(command, fault, "undo did not go through", status);
    else if (!stage_same(stage_tree(stage.point, true), stage.old_state))
        wrong(command, fault, "undo did not give back the beginning", status);
    else if (access("mnt/t/.elfmend", F_OK) == 0)
        wrong(command, fault, "undo left .elfmend behind", status);
}

static void fail_at(const char *image, const char *command, unsigned long at, unsigned long sync)
{
    const struct fault fault = { .at = at, .how = "after", .sync = sync };
    int status;

    em_arena_free(stage.point);
    stage.point = em_arena_new();
    must(shell("cp --sparse=always %s work.img", image), "cannot copy the image");
    mount_image("work.img");
    status = strcmp(command, "apply") == 0 ? stage_apply(&fault) : stage_undo(&fault);
    power_fails();
    if (status != 0 && status != -SIGKILL)
        wrong(command, &fault, "it was to be killed", status);
    else
        go_on(command, &fault, status == 0);
    unmount();
}

static void sweep(const char *image, const char *command, unsigned long calls)
{
    const unsigned before = power.failures;
    const unsigned long step = strcmp(power.type, "ext4") == 0 ? 3 : 6; /* the others are slow to mount */

    /* One more than there are: done, and then the power fails. */
    for (unsigned long at = 1; at <= calls + 1; at++)
        fail_at(image, command, at, 0);
    for (unsigned long at = 2; !power.fast && at <= calls + 1; at += 2)
        for (unsigned long sync = 1 + at / 2 % step; sync < at; sync += step)
            fail_at(image, command, at, sync);
    printf("%sok - %s,%s: the power fails anywhere in %s\n", power.failures == before ? "" : "not ", power.type, power.options,
           command);
    fflush(stdout);
}

static void make_images(unsigned long *apply_calls, unsigned long *undo_calls)
{
    const char *size = strcmp(power.type, "ext4") == 0 ? "24M" : "320M";

    must(shell("mkdir -p mnt && rm -f old.img && truncate -s %s old.img && mkfs.%s -q old.img > mkfs.out 2>&1", size,
               power.type),
         "cannot make a file system");
    mount_image("old.img");
    stage_make();
    unmount();
    must(shell("cp --sparse=always old.img new.img"), "cannot copy the image");
    mount_image("new.img");
    *apply_calls = stage_count(stage_apply, NULL);
    stage.new_contents = stage_tree(stage.kept, false);
    unmount();
    must(shell("cp --sparse=always new.img work.img"), "cannot copy the image");
    mount_image("work.img");
    *undo_calls = stage_count(stage_undo, NULL);
    must(stage_same(stage_tree(stage.kept, true), stage.old_state), "undo is not exact even without a power failure");
    unmount();
}

int main(int argc, char **argv)
{
    unsigned long apply_calls, undo_calls;

    if (argc < 5)
        die("usage: power ELFMEND SHIM FS OPTIONS [--fast]");
    stage.elfmend = argv[1];
    stage.shim = argv[2];
    power.type = argv[3];
    power.options = argv[4];
    power.fast = argc > 5 && strcmp(argv[5], "--fast") == 0;
    stage.base = "mnt";
    stage.kept = em_arena_new();
    stage.point = em_arena_new();
    if (!stage.kept || !stage.point)
        die("no memory");
    make_images(&apply_calls, &undo_calls);
    sweep("old.img", "apply", apply_calls);
    sweep("new.img", "undo", undo_calls);
    stage_tally(power.type, "the power fails", power.points);
    stage_tally(power.type, "losses", power.failures);
    printf("# %s,%s: the time of the root directory was lost at %lu points\n", power.type, power.options, stage.root_times);
    em_arena_free(stage.kept);
    em_arena_free(stage.point);
    return power.failures ? 1 : 0;
}
