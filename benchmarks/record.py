"""Measure and keep the results: ``python -m benchmarks.record [QUESTION …]``, then the page.

Every question has a process of its own, so that none finds caches, threads or memory of another.
One that fails is told of, and the others are measured all the same.
"""

import subprocess
import sys
from pathlib import Path

import click

from benchmarks import page
from benchmarks.results import DIRECTORY

_HOURS_S = 4 * 3600.0


@click.command()
@click.argument("questions", nargs=-1)
@click.option("--quick", is_flag=True, help="Measure roughly; not for figures that are published.")
def main(*, questions: tuple[str, ...], quick: bool) -> None:
    """Measure QUESTIONS, or all that the page asks, and put their figures into the page."""
    DIRECTORY.mkdir(exist_ok=True)
    asked = questions or dict.fromkeys(page.asked(page.PAGE.read_text(encoding="utf-8")))
    failed = [question for question in asked if not _measure(question, quick=quick)]
    page.main()
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}")


def _measure(question: str, *, quick: bool) -> bool:
    click.echo(f"{question} …")
    command = [sys.executable, "-m", "benchmarks", question, "--json"]
    done = subprocess.run(  # noqa: S603 - this very package
        [*command, "--quick"] if quick else command,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        timeout=_HOURS_S,
        check=False,
    )
    if done.returncode == 0:
        (DIRECTORY / f"{question}.json").write_text(done.stdout, encoding="utf-8")
    return done.returncode == 0


if __name__ == "__main__":
    main()
