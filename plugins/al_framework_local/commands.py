"""The command `al export`: make a dataset that other tools open out of a collection."""

from pathlib import Path

import click


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["coco", "yolo"]),
    required=True,
    help="Dataset format. COCO keeps scores and everything else; YOLO keeps shapes or boxes.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Directory to write; default is DIRECTORY/coco or DIRECTORY/yolo.",
)
@click.option("--force", is_flag=True, help="Replace an earlier export in the output directory.")
def export(directory: Path, format_: str, output: Path | None, force: bool) -> None:
    """Make a dataset of what the sink `directory` collected in DIRECTORY.

    Pictures are linked, not copied, where the file system can. Lines of the manifest that cannot
    be used are named and left out, and the exit status is 1.
    """
    # Here, so that the command's help costs nothing.
    from al_framework_local.materialise import OutputRefusedError

    target = Path(output if output is not None else directory / format_).absolute()
    try:
        problems = _export(directory, format_, target, force=force)
    except OutputRefusedError as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(f"the export to {str(target)!r} failed: {exc}") from exc
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    if problems:
        raise click.exceptions.Exit(1)


def _export(directory: Path, format_: str, target: Path, *, force: bool) -> list[str]:
    from al_framework_local.catalogue import Catalogue
    from al_framework_local.coco import write_coco
    from al_framework_local.materialise import replaced_directory
    from al_framework_local.records import Collection
    from al_framework_local.yolo import write_yolo

    try:
        collection = Collection(directory)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise click.ClickException(
            f"{str(directory)!r} holds no manifest.jsonl: "
            "name a directory that a sink of type 'directory' has written"
        ) from exc
    catalogue = Catalogue()
    for record in collection.scan():
        catalogue.add(record.datapoint.prediction)
    if not len(collection):
        lines = "".join(f"\n  {problem}" for problem in collection.problems)
        raise click.ClickException(
            f"{str(directory / 'manifest.jsonl')!r} lists no usable picture: "
            f"nothing to export{lines}"
        )
    problems = list(collection.problems)
    with replaced_directory(target, force=force) as partial:
        if format_ == "coco":
            labels, left_out = write_coco(collection, catalogue, partial), 0
        else:
            labels, more = write_yolo(collection, catalogue, partial)
            problems += more
            left_out = len(more)
    click.echo(
        f"{_count(len(collection) - left_out, 'picture')}, {_count(labels, 'label')}, "
        f"{_count(len(catalogue.class_index), 'class', 'classes')}: {target}"
    )
    return problems


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
