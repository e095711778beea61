"""Where jobs run: processes of this machine, or the workers of a Dask cluster. Results come as they are done.

A worker that is killed costs no finished row: its job runs once more, alone, and only if that kills the worker again
the row is a failed one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from gscodec_tools.rd.codecs import CodecOptions
from gscodec_tools.rd.jobs import Job, Result, probe, run_job

from gscodec.errors import BadInputError

CONNECT_S = 10  # to a scheduler
KILLED = "the worker process was killed twice, perhaps for lack of memory"


class Pool(Protocol):
    """A place to run jobs in. Use as a context."""

    def __enter__(self) -> Pool: ...

    def __exit__(self, *_: object) -> None: ...

    def probe(self, codec: str, options: CodecOptions) -> tuple[str | None, str]:
        """As ``jobs.probe``, where jobs run."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Run all, in about this order."""


class LocalPool:
    """``count`` processes, each with its share of the cores for rendering."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> LocalPool:
        self._restore = None
        if threading.current_thread() is threading.main_thread():
            # As Ctrl-C does: the way out ends the workers, which remove their files.
            self._restore = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        return self

    def __exit__(self, *_: object) -> None:
        if self._restore is not None:
            signal.signal(signal.SIGTERM, self._restore)

    def probe(self, codec: str, options: CodecOptions) -> tuple[str | None, str]:
        """In this process."""
        return probe(codec, options)

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Run all. Which of the running jobs killed a worker is not known: each of them runs again by itself."""
        left = deque(jobs)
        while left:
            for job in (yield from self._drain(left, self._count)):
                if (yield from self._drain(deque([job]), 1)):
                    yield Result(job.row("failed", KILLED), {})

    def _drain(self, queue: deque[Job], width: int) -> Generator[Result, None, list[Job]]:
        """Run until the queue is empty or a worker dies; the jobs that were running then."""
        running: dict[Future[Result], Job] = {}
        others = set(multiprocessing.active_children())
        pool = self._pool(width)
        try:
            while queue or running:
                while queue and len(running) < width:  # no more than can run, so that it is known which were
                    future = pool.submit(_work, queue[0])
                    running[future] = queue.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del running[future]
                    yield result
        except BrokenProcessPool:
            done = [future for future in running if future.done() and future.exception() is None]
            for future in done:
                del running[future]
                yield future.result()
            return list(running.values())
        except BaseException:  # interrupted: nobody wants what is running
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return []

    def _pool(self, count: int) -> ProcessPoolExecutor:
        # Not a fork: a copy of a process with threads can hang, and numba's threads do not survive it.
        context = multiprocessing.get_context("spawn")
        threads = max(1, (os.cpu_count() or 1) // count)
        return ProcessPoolExecutor(count, context, _start_worker, (threads, os.getpid()))


def _work(job: Job) -> Result:
    try:
        return run_job(job)
    except SystemExit:  # of _start_worker's handler; the pool would keep the process
        os._exit(1)


def _start_worker(threads: int, parent: int) -> None:
    import numba

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the coordinating process, which ends the workers:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that they remove their files and end their commands

    def watch() -> None:  # a killed parent leaves workers behind that wait for ever
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class ClusterPool:
    """The workers behind a Dask scheduler. They need this package and the same files at the same paths."""

    def __init__(self, address: str) -> None:
        try:
            import distributed
        except ImportError as error:
            hint = "pip install 'gscodec[cluster]'"
            raise BadInputError(f"--scheduler needs the package distributed: {hint}") from error
        try:
            self._client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadInputError(f"no scheduler there: {error}", field="scheduler", found=address) from error

    def __enter__(self) -> ClusterPool:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def probe(self, codec: str, options: CodecOptions) -> tuple[str | None, str]:
        """On one worker: all should be alike."""
        found: tuple[str | None, str] = self._client.submit(probe, codec, options, pure=False).result()
        return found

    def run(self, jobs: Sequence[Job]) -> Iterator[Result]:
        """Dask itself gives the jobs of a worker that died to others, a few times."""
        import distributed

        futures = {self._client.submit(run_job, job, pure=False): job for job in jobs}
        for future in distributed.as_completed(futures, loop=self._client.loop):
            job = futures.pop(future)
            error = future.exception()
            if isinstance(error, distributed.KilledWorker):
                yield Result(job.row("failed", f"killed its worker several times: {error}"), {})
            elif error is not None:
                yield Result(job.row("failed", f"{type(error).__name__}: {error}"), {})
            else:
                yield future.result()
            future.release()
