"""A disk that takes no more, for the tests: no file may become larger than a limit."""

import contextlib
import resource


@contextlib.contextmanager
def at_most(size: int):
    """Within it a write beyond ``size`` bytes of any file of this process fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
