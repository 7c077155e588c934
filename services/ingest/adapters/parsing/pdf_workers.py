"""Pages of a PDF read by forked processes, so that a page that kills or stalls PDFium costs that page alone.

Each worker opens the document anew and may use so much more memory than it has at its start, and so much CPU time for
one page; the kernel ends it when it uses more. The page it was at is lost and told, a new worker goes on with the next.
Large documents are read by several workers at a time.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import marshal
import os
import resource
import select
import selectors
import signal
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

from services.ingest.adapters.confinement import confine
from services.ingest.adapters.parsing.pdf_document import (
    BROKEN,
    Loss,
    OnReading,
    Opened,
    OwnPages,
    PageImage,
)
from services.ingest.adapters.parsing.pdf_pages import PageReading, unpacked
from services.ingest.errors import FileBroken
from services.ingest.models import PageProblem

PAGE_CPU_SECONDS = 6.0
MEMORY_BYTES = 288 * 1024 * 1024  # on top of what the process has before; for all workers together
MAX_WORKERS = 4
_PAGES_A_WORKER = 16  # fewer are not worth another process
_SLOW_SECONDS = 1.0
_MAX_SLOW_SECONDS = 15.0  # spent on slow pages; after that the rest is left unread
_MAX_LOST_PAGES = 30
_OPENING_CPU_SECONDS = 15.0
_WALL_FACTOR = 4.0  # a process that waits for its turn is not stalled
_HEAD = struct.Struct(">I")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG

_TOO_COMPLEX = Loss(PageProblem.PAGE_TOO_COMPLEX, "the page takes more time or memory to read than is allowed")
_LEFT_OUT = Loss(
    PageProblem.PAGE_TOO_COMPLEX, "the page was left out because pages before it took too much time to read"
)


class _WorkerLost(Exception):
    """A worker ended, or had to be ended, before it answered."""

    def __init__(self, *, out_of_bounds: bool) -> None:
        super().__init__()
        self.out_of_bounds = out_of_bounds


class IsolatedPages:
    """PdfPages by forked workers; for a process of one thread that has plenty of time.

    Raises: FileBroken: damaged, encrypted, or of too many pages; also when opening it takes too much.
    """

    def __init__(self, data: bytes, *, memory_bytes: int = MEMORY_BYTES, max_workers: int | None = None) -> None:
        self._data = data
        self._memory_bytes = memory_bytes
        self._max_workers = max_workers or min(MAX_WORKERS, _processors())
        self._first: _Worker | None = _Worker(data, memory_bytes)
        try:
            self.opened = self._first.opened()
        except _WorkerLost as error:
            self._first.close()
            raise FileBroken("the PDF takes more memory or time to open than is allowed, or is damaged") from error
        except FileBroken:
            self._first.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._first is not None:
            self._first.close()
            self._first = None

    def read(self, on_page: OnReading | None = None) -> list[PageReading | Loss]:
        """As PdfPages says."""
        count = self.opened.page_count
        shares = max(1, min(self._max_workers, count // _PAGES_A_WORKER))
        reading = _Reading(self, count, shares, on_page)
        reading.run()
        return [page if page is not None else _LEFT_OUT for page in reading.pages]

    def render(self, number: int) -> PageImage | None:
        """As PdfPages says."""
        answer = self._ask("render", number)
        return PageImage(*answer) if answer else None

    def extract(self, numbers: Sequence[int]) -> bytes | None:
        """As PdfPages says."""
        answer: bytes | None = self._ask("extract", list(numbers))
        return answer

    def _ask(self, command: str, argument: Any) -> Any:
        worker = self.take_worker(1)
        try:
            worker.opened()
            worker.send((command, argument))
            answer = worker.receive(PAGE_CPU_SECONDS * _WALL_FACTOR)
        except (_WorkerLost, FileBroken):
            worker.close()
            return None
        self._first = worker
        return answer

    def take_worker(self, shares: int) -> _Worker:
        """The one that opened the document, or a new one with its share of the memory."""
        if self._first is not None:
            worker, self._first = self._first, None
            return worker
        return _Worker(self._data, self._memory_bytes // shares)

    def give_worker(self, worker: _Worker) -> None:
        """Keep one for what comes."""
        if self._first is None:
            self._first = worker
        else:
            worker.close()


class _Reading:
    """One pass over all pages by several workers: each has a list of pages and sends them in that order."""

    def __init__(self, owner: IsolatedPages, count: int, shares: int, on_page: OnReading | None) -> None:
        self.pages: list[PageReading | Loss | None] = [None] * count
        self._owner = owner
        self._shares = shares
        self._on_page = on_page
        self._lost = 0
        self._slow_seconds = 0.0
        self._again: list[int] = []
        self._waiting: dict[_Worker, list[int]] = {}

    def run(self) -> None:
        count = len(self.pages)
        for share in range(self._shares):
            self._start(list(range(share, count, self._shares)), self._shares)
        self._listen()
        # What went wrong where memory was shared may go well alone.
        for number in self._again:
            if self._is_over():
                break
            self._start([number], 1)
            self._listen()

    def _start(self, numbers: list[int], shares: int) -> None:
        if not numbers or self._is_over():
            return
        worker = self._owner.take_worker(shares)
        self._waiting[worker] = numbers
        with contextlib.suppress(_WorkerLost):  # told when it is listened to
            worker.send(("read", numbers))

    def _is_over(self) -> bool:
        return self._slow_seconds > _MAX_SLOW_SECONDS or self._lost > _MAX_LOST_PAGES

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            while self._waiting:
                for worker in self._waiting:
                    if worker.socket not in selector.get_map():
                        selector.register(worker.socket, selectors.EVENT_READ, worker)
                ready = {key.data for key, _ in selector.select(timeout=1.0)}
                for worker in list(self._waiting):
                    if worker in ready:
                        self._take(worker, selector)
                    elif time.monotonic() - worker.heard_at > PAGE_CPU_SECONDS * _WALL_FACTOR:
                        self._lose(worker, selector, out_of_bounds=True)
                if self._is_over():
                    for worker in list(self._waiting):
                        selector.unregister(worker.socket)
                        del self._waiting[worker]
                        worker.close()

    def _take(self, worker: _Worker, selector: selectors.BaseSelector) -> None:
        try:
            message = worker.receive(PAGE_CPU_SECONDS * _WALL_FACTOR)
        except (_WorkerLost, FileBroken) as error:
            self._lose(worker, selector, out_of_bounds=isinstance(error, _WorkerLost) and error.out_of_bounds)
            return
        if message is None or isinstance(message[0], str):  # how it opened the document, of which there is word already
            return
        number, cpu_seconds, packed = message
        numbers = self._waiting[worker]
        numbers.remove(number)
        page = unpacked(packed)
        if cpu_seconds > _SLOW_SECONDS:
            self._slow_seconds += cpu_seconds
        self._settle(number, BROKEN if page.is_broken else page)
        if not numbers:
            selector.unregister(worker.socket)
            del self._waiting[worker]
            self._owner.give_worker(worker)

    def _lose(self, worker: _Worker, selector: selectors.BaseSelector, *, out_of_bounds: bool) -> None:
        selector.unregister(worker.socket)
        numbers = self._waiting.pop(worker)
        worker.close()
        culprit, rest = numbers[0], numbers[1:]
        self._lost += 1
        if worker.seconds_since_heard > _SLOW_SECONDS:
            self._slow_seconds += worker.seconds_since_heard
        if self._shares > 1 and culprit not in self._again and not out_of_bounds:
            self._again.append(culprit)
        else:
            self._settle(culprit, _TOO_COMPLEX)
        self._start(rest, self._shares)

    def _settle(self, number: int, page: PageReading | Loss) -> None:
        self.pages[number] = page
        if self._on_page is not None:
            self._on_page(page)


class _Worker:
    """A forked process that opens the document and does what it is asked, one thing after the other."""

    def __init__(self, data: bytes, memory_bytes: int) -> None:
        self.socket, theirs = socket.socketpair()
        self._opened: Opened | None = None
        self.heard_at = time.monotonic()
        self.seconds_since_heard = 0.0
        self._pid = os.fork()
        if self._pid == 0:
            self.socket.close()
            _work(theirs, data, memory_bytes)
        theirs.close()

    def opened(self) -> Opened:
        """What it found when it opened the document. Raises: FileBroken, _WorkerLost."""
        while self._opened is None:
            self.receive(_OPENING_CPU_SECONDS * _WALL_FACTOR)
        return self._opened

    def send(self, command: tuple[str, Any]) -> None:
        try:
            _write(self.socket, command)
        except OSError as error:
            raise _WorkerLost(out_of_bounds=False) from error
        self.heard_at = time.monotonic()

    def receive(self, timeout_seconds: float) -> Any:
        """Its next message. Raises: FileBroken: it refused the document. _WorkerLost."""
        try:
            message = _read(self.socket, until=time.monotonic() + timeout_seconds)
        except (OSError, EOFError, ValueError) as error:
            self.seconds_since_heard = time.monotonic() - self.heard_at
            raise _WorkerLost(out_of_bounds=self._ended_by_clock()) from error
        self.heard_at = time.monotonic()
        if isinstance(message, tuple) and message and message[0] == "refused":
            raise FileBroken(message[1])
        if isinstance(message, tuple) and message and message[0] == "opened":
            self._opened = Opened(*message[1])
        return message

    def close(self) -> None:
        """End it; it has nothing to lose."""
        self.socket.close()
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0

    def _ended_by_clock(self) -> bool:
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)  # without effect on what has ended
            _, status = os.waitpid(self._pid, 0)
            self._pid = 0
            return os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGXCPU)
        return True


def _work(connection: socket.socket, data: bytes, memory_bytes: int) -> NoReturn:
    """The life of a worker. Nothing is told of a failure: that the connection ends says it all."""
    status = 1
    try:
        gc.freeze()  # looking through what the parent had would copy all of it
        _bind(memory_bytes)
        _allow_cpu(_OPENING_CPU_SECONDS)
        try:
            pages = OwnPages(data)
        except FileBroken as error:
            _write(connection, ("refused", str(error)))
            os._exit(0)
        _write(connection, ("opened", tuple(pages.opened)))
        while True:
            command, argument = _read(connection)
            for answer in _answers(pages, command, argument):
                _write(connection, answer)
    except (EOFError, OSError):
        status = 0
    finally:
        os._exit(status)


def _answers(pages: OwnPages, command: str, argument: Any) -> Any:
    match command:
        case "read":
            for number in argument:
                _allow_cpu(PAGE_CPU_SECONDS)
                began = time.process_time()
                packed = pages.read_one(number).packed()
                yield number, time.process_time() - began, packed
        case "render":
            _allow_cpu(PAGE_CPU_SECONDS)
            image = pages.render(argument)
            yield tuple(image) if image else None
        case "extract":
            _allow_cpu(PAGE_CPU_SECONDS)
            yield pages.extract(argument)


def _bind(memory_bytes: int) -> None:
    """Limits for the rest of this process's life; it ends with its parent where the system offers that."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    faulthandler.disable()  # that PDFium dies is expected here, and told by its silence
    confine()
    with contextlib.suppress(OSError, ValueError):
        data_pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[5]
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = int(data_pages) * resource.getpagesize() + memory_bytes
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))


def _allow_cpu(seconds: float) -> None:
    """From now on so much; the kernel ends the process after that, wherever it is."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _write(connection: socket.socket, message: Any) -> None:
    """By the plain call, because a confined process may not `send`."""
    body = marshal.dumps(message)
    data = memoryview(_HEAD.pack(len(body)) + body)
    while data:
        data = data[os.write(connection.fileno(), data) :]


def _read(connection: socket.socket, *, until: float | None = None) -> Any:
    """The next message. Raises: EOFError: there is none; OSError, also when it does not come in time."""
    [size] = _HEAD.unpack(_exactly(connection, _HEAD.size, until))
    return marshal.loads(_exactly(connection, size, until))  # noqa: S302 -- from this very program


def _exactly(connection: socket.socket, size: int, until: float | None) -> bytes:
    parts: list[bytes] = []
    while size:
        if until is not None:
            seconds = max(0.0, until - time.monotonic())
            if not select.select([connection], [], [], seconds)[0]:
                raise TimeoutError
        part = os.read(connection.fileno(), min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
