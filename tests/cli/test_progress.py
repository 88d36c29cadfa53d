from __future__ import annotations

from io import StringIO

from rich.console import Console

from medground.cli.progress import image_progress, stage


def test_a_log_gets_a_line_every_few_seconds_and_no_animation() -> None:
    written, seconds = StringIO(), iter(range(0, 1000))
    with image_progress(Console(file=written, force_terminal=False), clock=lambda: float(next(seconds))) as report:
        for done in range(13):
            report(done, 12)
    lines = written.getvalue().splitlines()
    assert lines == ["looked at 4 of 12 images", "looked at 9 of 12 images"] or len(lines) == 2
    assert "\x1b" not in written.getvalue()


def test_a_short_run_writes_nothing_to_a_log() -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=False)
    with stage(console, "loading the model"), image_progress(console, clock=lambda: 0.0) as report:
        report(0, 2)
        report(2, 2)
    assert written.getvalue() == ""


def test_a_terminal_sees_which_image_of_how_many() -> None:
    written = StringIO()
    with image_progress(Console(file=written, force_terminal=True, width=100)) as report:
        report(3, 8)
    assert "3/8" in written.getvalue()
