"""A process ends with the one that started it."""

from __future__ import annotations

import os
import threading

from medground.serving.parent import end_with


def test_the_end_of_the_pipe_asks_to_end_and_then_ends() -> None:
    reading, writing = os.pipe()
    asked, codes = threading.Event(), list[int]()
    thread = end_with(reading, asked.set, grace_s=0, give_up=codes.append)
    os.write(writing, b"what is written is no end")
    assert not asked.wait(0.05)
    os.close(writing)
    thread.join(120)
    assert (asked.is_set(), codes) == (True, [1])
    os.close(reading)


def test_a_descriptor_that_cannot_be_read_is_an_end() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    asked = threading.Event()
    end_with(reading, asked.set, grace_s=0, give_up=lambda _: None).join(120)
    assert asked.is_set()
    os.close(writing)
