"""Runs the jobs of `kill_jobs` in processes of their own, and kills them.

Each process is a fork of one that has imported TensorFlow and done nothing else: fresh, without the
seconds of the import. That one, too, is a process of its own.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import signal
import threading
from pathlib import Path

from tests.killing import kill_at_operation, kill_in_write

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.one_thread", "tests.kill_jobs"])


@dataclasses.dataclass
class Bench:
    """The folders of one job, and what it comes to when nobody kills it.

    Args:
        name: of the job.
        root: an empty folder.
    """

    name: str
    root: Path

    def __post_init__(self):
        self.inputs, self.folder = self.root / "inputs", self.root / "folder"
        self.inputs.mkdir(parents=True)
        self.folder.mkdir()
        assert self._call("prepare") == 0
        shutil.copytree(self.folder, self.root / "start")
        done = self._call("run", at=10**9)
        assert done == 0, f"{self.name} ended with {done}"
        self.operations = int((self.root / "operations").read_text())
        self.expected = self._asked("result")
        assert self.expected == self._again(), f"{self.name} does not repeat itself"

    def _again(self) -> str:
        self.reset()
        assert self._call("run") == 0
        return self._asked("result")

    def reset(self) -> None:
        """The folder as the job finds it."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.root / "start", self.folder)

    def kill(
        self, *, at: int | None = None, size: int | None = None, after: float | None = None
    ) -> bool:
        """Runs the job and kills it; whether it was killed.

        Args:
            at: before this file operation.
            size: within the write that makes a file larger than this many bytes.
            after: these seconds.
        """
        code = self._call("run", at=at, size=size, after=after)
        assert code in (0, -signal.SIGKILL, -signal.SIGXFSZ), f"{self.name} ended with {code}"
        return code != 0

    def finish(self) -> list[str]:
        """Runs the job to its end; what is wrong then."""
        code = self._call("run")
        if code:
            return [f"it ended with {code}"]
        wrong = [] if self._asked("result") == self.expected else ["another result"]
        return wrong + [f"left over: {name}" for name in self._asked("left").splitlines()]

    def lost(self) -> list[str]:
        """What is lost in the folder that a killed job left."""
        return [] if self._asked("sound") == "True" else ["neither the old nor the new"]

    def _asked(self, what: str) -> str:
        assert self._call(what) == 0, what
        return (self.root / "answer").read_text()

    def _call(self, what: str, at=None, size=None, after=None) -> int:
        process = _CONTEXT.Process(target=_work, args=(self.name, what, self.root, at, size))
        process.start()
        timer = threading.Timer(after or 0, process.kill)
        if after is not None:
            timer.start()
        process.join()
        timer.cancel()
        return process.exitcode


def _work(name: str, what: str, root: Path, at: int | None, size: int | None) -> None:
    """In the process: prepares or runs a job, or answers about what it left."""
    from tests import kill_jobs, tiny

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    job, inputs, folder = kill_jobs.JOBS[name], root / "inputs", root / "folder"
    if what == "result":
        (root / "answer").write_text(repr(job.result(folder)))
    elif what == "left":
        (root / "answer").write_text("\n".join(kill_jobs.left_over(folder)))
    elif what == "sound":
        (root / "answer").write_text(str(job.sound(inputs, folder)))
    elif what == "prepare":
        job.prepare(inputs, folder)
    else:
        tiny.keep_graphs()
        done = kill_at_operation(at, folder) if at is not None else []
        if size is not None:
            kill_in_write(size)
        job.run(inputs, folder)
        (root / "operations").write_text(str(len(done)))
