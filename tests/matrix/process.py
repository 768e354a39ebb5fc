"""process.py: runs many short commands cheaply; one that hangs is killed."""
import os
import select
import signal

LIMIT = 10  # seconds; even under an emulator a run takes one


def run(command, log="log", stdin=os.devnull, env=None, limit=LIMIT):
    """Exit status (negative: the signal, None: it hung) and what it said, on both of its streams."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
    try:
        pid = os.posix_spawnp(command[0], command, os.environ if env is None else env, file_actions=actions)
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    handle = os.pidfd_open(pid)
    hung = not select.select([handle], [], [], limit)[0]
    if hung:
        os.kill(pid, signal.SIGKILL)
    os.close(handle)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open(log, encoding="utf-8", errors="replace") as file:
        return None if hung else status, file.read()
