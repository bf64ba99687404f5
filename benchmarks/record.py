"""Measure and keep the results: ``python -m benchmarks.record [QUESTION …]``, then the page.

Every question has a process of its own, so that none finds caches, threads or memory of another.
One that fails is told of, and the others are measured all the same. ``--into`` keeps the results
elsewhere and leaves the page as it is: rough ones go only there.
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
@click.option("--quick", is_flag=True, help="Measure roughly; needs another directory.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=DIRECTORY,
    help="Another directory for the results than that of the page.",
)
def main(*, questions: tuple[str, ...], quick: bool, into: Path) -> None:
    """Measure QUESTIONS, or all that the page asks, and put their figures into the page."""
    published = into.resolve() == DIRECTORY
    if quick and published:
        raise click.UsageError(
            "figures of --quick are not published: name a directory of their own with --into"
        )
    into.mkdir(parents=True, exist_ok=True)
    asked = questions or dict.fromkeys(page.asked(page.PAGE.read_text(encoding="utf-8")))
    failed = [one for one in asked if not _measure(one, into / f"{one}.json", quick=quick)]
    if published:
        page.main()
    if failed:
        raise click.ClickException(f"not measured: {', '.join(failed)}")


def _measure(question: str, path: Path, *, quick: bool) -> bool:
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
        path.write_text(done.stdout, encoding="utf-8")
    return done.returncode == 0


if __name__ == "__main__":
    main()
