"""`al init`: write a first configuration that works and explains itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

_YAML = """\
# yaml-language-server: $schema=./al.schema.json
# al-framework: which frames to collect, and where to put them.
#   al check {file}    says whether this file is right
#   al run {file}      collects
#   al schema > al.schema.json    lets an editor complete it, by the first line

sources:                      # where frames come from
  - type: directory
    path: {images}            # every picture in it; foo.json beside foo.jpg is its prediction

# predictor:                  # or let a model look at every frame: pip install 'al-framework[onnx]'
#   type: onnx
#   model: model.onnx
#   decoder: yolov8

active_learning:              # a Roboflow Active Learning document
  enabled: true
  persist_predictions: true   # deliver predictions as pre-annotations
  max_image_size: [1200, 1200]  # [height, width]; larger pictures are scaled down
  sampling_strategies:        # the first one that wants a frame and has room pays for it
    # - name: unsure          # frames with a detection between 0.3 and 0.5
    #   type: close_to_threshold
    #   threshold: 0.4
    #   epsilon: 0.1
    #   probability: 1.0
    - name: sample            # one frame in ten, whatever is on it
      type: random
      traffic_percentage: 0.1
      limits:
        - {{type: hourly, value: 100}}
  batching_strategy:
    batches_name_prefix: al
    recreation_interval: daily

sinks:                        # where collected pictures go
{sink}"""

_TOML = """\
#:schema ./al.schema.json
# al-framework: which frames to collect, and where to put them.
#   al check {file}    says whether this file is right
#   al run {file}      collects
#   al schema > al.schema.json    lets an editor complete it, by the first line

[[sources]]                   # where frames come from
type = "directory"
path = {images}               # every picture in it; foo.json beside foo.jpg is its prediction

# [predictor]                 # or let a model look at every frame: pip install 'al-framework[onnx]'
# type = "onnx"
# model = "model.onnx"
# decoder = "yolov8"

[active_learning]             # a Roboflow Active Learning document
enabled = true
persist_predictions = true    # deliver predictions as pre-annotations
max_image_size = [1200, 1200]  # [height, width]; larger pictures are scaled down
batching_strategy = {{batches_name_prefix = "al", recreation_interval = "daily"}}

# [[active_learning.sampling_strategies]]  # the first one that wants a frame and has room pays
# name = "unsure"             # frames with a detection between 0.3 and 0.5
# type = "close_to_threshold"
# threshold = 0.4
# epsilon = 0.1
# probability = 1.0

[[active_learning.sampling_strategies]]
name = "sample"               # one frame in ten, whatever is on it
type = "random"
traffic_percentage = 0.1
limits = [{{type = "hourly", value = 100}}]

[[sinks]]                     # where collected pictures go
{sink}"""

_YAML_SINKS = {
    "directory": "  - type: directory\n    path: collected\n",
    "null": "  - type: 'null'           # nowhere: shows what would be collected\n",
}
_TOML_SINKS = {
    "directory": 'type = "directory"\npath = "collected"\n',
    "null": 'type = "null"                 # nowhere: shows what would be collected\n',
}
_FORMATS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        ".yaml": (_YAML, _YAML_SINKS),
        ".yml": (_YAML, _YAML_SINKS),
        ".toml": (_TOML, _TOML_SINKS),
    }
)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="al.yaml")
@click.option("--images", default="images", show_default=True, help="Directory of pictures.")
@click.option(
    "--sink",
    type=click.Choice(sorted(_YAML_SINKS)),
    default="directory",
    show_default=True,
    help="Where collected pictures go.",
)
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def init(file: Path, images: str, sink: str, force: bool) -> None:
    """Write a first configuration to FILE (al.yaml), with comments, as YAML or TOML."""
    if file.suffix.lower() not in _FORMATS:
        wanted = f"{str(file)!r} should end in .yaml or .toml"
        raise click.BadParameter(wanted, param_hint="FILE")
    template, sinks = _FORMATS[file.suffix.lower()]
    text = template.format(
        file=file, images=json.dumps(images, ensure_ascii=False), sink=sinks[sink]
    )
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as exc:
        raise click.ClickException(f"{file}: exists already: pass --force to replace it") from exc
    except OSError as exc:
        raise click.ClickException(f"{file}: cannot be written: {exc.strerror}") from exc
    click.echo(f"{file}: written; next: al check {file}")
