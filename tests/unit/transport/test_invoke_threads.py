from __future__ import annotations

import asyncio
import threading
import time

import pytest

from services.transport.invoke_threads import InvokeThreads


async def test_results_and_errors_come_back() -> None:
    threads = InvokeThreads(2)

    assert await threads.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)


async def test_as_many_run_at_once_as_the_limit_says() -> None:
    threads, running, most = InvokeThreads(3), 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    await asyncio.gather(*(threads.run(work) for _ in range(10)))

    assert most == 3


async def test_a_thread_is_used_again_before_another_is_started() -> None:
    threads = InvokeThreads(5)
    used = set()
    for _ in range(5):
        used.add(await threads.run(threading.get_ident))
        await asyncio.sleep(0.001)

    assert len(used) == 1


async def test_what_is_cancelled_before_its_turn_is_never_called() -> None:
    threads, called, go = InvokeThreads(1), [], threading.Event()
    first = asyncio.create_task(threads.run(go.wait))
    second = asyncio.create_task(threads.run(lambda: called.append("second")))
    await asyncio.sleep(0.01)

    second.cancel()
    go.set()
    await first
    await threads.run(lambda: None)

    assert called == []


async def test_threads_end_when_told() -> None:
    threads = InvokeThreads(2)
    thread = await threads.run(threading.current_thread)

    threads.stop()
    thread.join(timeout=5)

    assert not thread.is_alive()
