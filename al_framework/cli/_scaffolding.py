"""Make a plugin's project of the templates in ``al_framework/scaffold``.

The templates are the files themselves with a few names to fill in; they have a suffix of their own
so that no linter, type checker or importer takes them for this project's code.
"""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template
from types import MappingProxyType
from typing import TypeAlias

from al_framework import __version__

Box: TypeAlias = tuple[int, int, int, int]

# The kinds as the command calls them, with the host's names for them.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "adapter": "prediction_adapter",
        "predictor": "predictor",
        "sink": "sink",
        "source": "source",
        "strategy": "strategy",
    }
)
MAX_NAME = 30  # longer ones would break lines of the generated code at 100 columns

_PREFIX = re.compile(r"^al[-_]framework[-_]")
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "adapter": "A prediction adapter for al-framework: it reads the answers of one tool.",
        "predictor": "A predictor for al-framework: it finds what is bright.",
        "sink": "A sink for al-framework: it keeps datapoints in an SQLite file.",
        "source": "A source for al-framework: it yields the JPEG files of a directory.",
        "strategy": "A strategy for al-framework: it takes frames that a model is not sure of.",
    }
)
_PICTURE_SIZE = (160, 120)
# One object in each picture of the example: where it is, and how sure a model is of it.
_OBJECTS: Sequence[tuple[Box, float]] = (
    ((12, 20, 60, 90), 0.92),
    ((50, 30, 130, 80), 0.61),
    ((100, 60, 148, 112), 0.34),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginProject:
    """The project of a plugin with one component.

    Attributes:
        name: The plugin's name: lower-case words, joined by hyphens.
        kind: Key of `KINDS`.
    """

    name: str
    kind: str

    @classmethod
    def named(cls, name: str, *, kind: str) -> "PluginProject":
        """Return the project of this name, which may carry the prefix of distributions.

        Raises:
            ValueError: It cannot name a plugin; says why and what to do.
        """
        short = _PREFIX.sub("", name)
        if not _NAME.fullmatch(short) or len(short) > MAX_NAME:
            suggestion = _usable(short)
            hint = f"; did you mean {suggestion!r}?" if suggestion else ""
            raise ValueError(
                f"{name!r} cannot name a plugin: use lower-case letters and digits in words joined "
                f"by '-', a letter first, {MAX_NAME} characters at most{hint}"
            )
        if short in {"true", "false", "null"}:
            raise ValueError(f"{name!r} is a value in YAML, where names stand: choose another name")
        return cls(name=short.replace("_", "-"), kind=kind)

    @property
    def type_name(self) -> str:
        """What a configuration calls the component."""
        return self.name.replace("-", "_")

    @property
    def distribution(self) -> str:
        """What pip calls the project."""
        return f"al-framework-{self.name}"

    @property
    def module(self) -> str:
        """What Python imports."""
        return f"al_framework_{self.type_name}"

    @property
    def class_name(self) -> str:
        """The component's class."""
        return f"{self._camel}{self.kind.capitalize()}"

    @property
    def _camel(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("-"))

    def files(self) -> Iterator[tuple[PurePosixPath, bytes]]:
        """Yield every file, its path below the project's directory first."""
        words = self._words()
        for template, path in (
            ("common/pyproject.toml", "pyproject.toml"),
            ("common/tox.ini", "tox.ini"),
            ("common/README.md", "README.md"),
            ("common/gitignore", ".gitignore"),
            (f"{self.kind}/module.py", f"src/{self.module}/__init__.py"),
            (f"{self.kind}/test.py", f"tests/test_{self.type_name}.py"),
            (f"{self.kind}/al.yaml", "example/al.yaml"),
        ):
            yield PurePosixPath(path), _fill(template, words).encode()
        yield PurePosixPath(f"src/{self.module}/py.typed"), b""
        for number, (box, confidence) in enumerate(_OBJECTS, start=1):
            frame = PurePosixPath(f"example/frames/{number}.jpg")
            yield frame, _picture(box)
            prediction = self._prediction(box, confidence)
            if prediction is not None:
                yield frame.with_suffix(".json"), f"{json.dumps(prediction)}\n".encode()

    def _words(self) -> dict[str, str]:
        words = {
            "camel": self._camel,
            "dependencies": ", ".join(f'"{line}"' for line in self._dependencies()),
            "distribution": self.distribution,
            "kind_words": KINDS[self.kind].replace("_", " "),
            "module": self.module,
            "name": self.name,
            "summary": _SUMMARIES[self.kind],
            "type_name": self.type_name,
        }
        return {**words, "notes": _fill(f"{self.kind}/notes.md", words)}

    def _dependencies(self) -> Iterator[str]:
        major, minor = __version__.split(".")[:2]
        # Minor versions only add to the plugin API.
        yield f"al-framework>={major}.{minor},<{int(major) + 1}"
        if self.kind in {"adapter", "predictor"}:
            yield "numpy>=1.26"
        if self.kind != "adapter":
            yield "pydantic>=2.7"

    def _prediction(self, box: Box, confidence: float) -> object:
        """Return what lies beside a picture: None where the component makes or needs none."""
        if self.kind == "adapter":
            found = {"label": "bright", "score": confidence, "box": box}
            return {"made_by": self.type_name, "objects": [found]}
        if self.kind in {"predictor", "source"}:
            return None
        left, top, right, bottom = box
        width, height = _PICTURE_SIZE
        row = {
            "x": (left + right) / 2,
            "y": (top + bottom) / 2,
            "width": right - left,
            "height": bottom - top,
            "confidence": confidence,
            "class": "bright",
            "class_id": 0,
        }
        return {"image": {"width": width, "height": height}, "predictions": [row]}


def _usable(name: str) -> str | None:
    """Return the nearest name that can be used, or None."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    words = re.sub(r"[^a-z0-9]+", "-", spaced).lstrip("-0123456789")[:MAX_NAME].rstrip("-")
    return words if _NAME.fullmatch(words) else None


def _fill(template: str, words: Mapping[str, str]) -> str:
    text = files("al_framework").joinpath(f"scaffold/{template}.template").read_text("utf-8")
    return Template(text).substitute(words)


def _picture(box: Box) -> bytes:
    """Return a dark picture with something bright in it, as JPEG."""
    import PIL.Image

    picture = PIL.Image.new("RGB", _PICTURE_SIZE, (38, 44, 56))
    picture.paste((236, 228, 208), box)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
