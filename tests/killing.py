"""Kills this process at a chosen file operation, so that what it leaves behind can be looked at."""

import os
import resource
import signal
import sys

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = {
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "os.symlink",
    "shutil.rmtree",
}


def kill_at_operation(number: int, folder) -> list[str]:
    """From now on the process is killed before its ``number``-th operation on files under
    ``folder``, counted from 1.

    Returns:
        What was done so far, a word each; of use where ``number`` is never reached.
    """
    from tf_transfer.files import temporary

    done: list[str] = []

    def count(what: str) -> None:
        done.append(what)
        if len(done) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple) -> None:
        opened = event == "open" and arguments[2] & WRITES
        if (opened or event in CHANGES) and any(
            _is_in(folder, path, event, arguments) for path in arguments[:2]
        ):
            count(event)

    exchange = temporary.exchange

    def counted(first, second) -> bool:  # the one change that Python does not announce
        count("exchange")
        return exchange(first, second)

    for module in [
        m for m in list(sys.modules.values()) if getattr(m, "exchange", None) is exchange
    ]:
        module.exchange = counted
    sys.addaudithook(hook)
    return done


def kill_in_write(size: int) -> None:
    """From now on the process is killed in the midst of a write that would make a file larger than
    ``size`` bytes.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _is_in(folder, path, event: str, arguments: tuple) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    path = os.fsdecode(path)
    # `shutil.rmtree` names files by the descriptor of their folder
    if not os.path.isabs(path) and event != "open":
        descriptor = next((a for a in arguments[1:] if isinstance(a, int) and a > 2), None)
        path = os.path.join(
            os.getcwd() if descriptor is None else os.readlink(f"/proc/self/fd/{descriptor}"), path
        )
    return path.startswith(str(folder) + os.sep)
