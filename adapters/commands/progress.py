"""How far long work is: a bar on a terminal, nothing elsewhere."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TextIO

import msgspec

from adapters.commands.printable import printable


class Progress(msgspec.Struct, frozen=True):
    """Where work says how far it is, in bytes or in things, and what it has to remark meanwhile."""

    reach: Callable[[int], None]
    remark: Callable[[str], None]


@contextlib.contextmanager
def progress(title: str, total: int | None, unit: str, err: TextIO) -> Iterator[Progress]:
    """Show a bar on `err` while the block runs, where `err` is a terminal; `total` None draws one without an end."""
    if not err.isatty():
        yield Progress(reach=lambda done: None, remark=lambda text: _write(err, text))
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    done = TextColumn(f"{{task.completed:,}} {unit}")
    share = [] if total is None else [TaskProgressColumn()]
    with Bar(
        TextColumn("{task.description}"), BarColumn(), *share, done, TimeElapsedColumn(), console=Console(file=err)
    ) as bar:
        task = bar.add_task(title, total=total)
        yield Progress(
            reach=lambda done: bar.update(task, completed=done),
            remark=lambda text: bar.console.print(Text(printable(text))),
        )


def _write(err: TextIO, text: str) -> None:
    err.write(printable(text) + "\n")
