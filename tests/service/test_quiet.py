"""The quiet thread: one call after the other, and an end that waits for what has begun."""

from __future__ import annotations

import threading

from shoal.service.quiet import QuietThread


def test_a_stop_waits_for_what_has_begun_and_leaves_out_the_rest() -> None:
    begun, go_on = threading.Event(), threading.Event()
    quiet = QuietThread("test-quiet")

    def work() -> str:
        begun.set()
        assert go_on.wait(30)
        return "done"

    first, second = quiet.submit(work), quiet.submit(lambda: "never")
    assert begun.wait(30)
    stopping = threading.Thread(target=quiet.stop, args=(30.0,))
    stopping.start()
    go_on.set()
    stopping.join(30)
    assert first.result(0) == "done"
    assert second.cancelled()
    assert quiet.submit(lambda: "too late").cancelled()
    assert "test-quiet" not in [thread.name for thread in threading.enumerate()]


def test_a_thread_that_never_began_is_stopped_at_once() -> None:
    QuietThread("test-quiet").stop()
