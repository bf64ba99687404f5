"""The order of the steps: each after those whose outputs it reads."""

from collections.abc import Iterator, Mapping

from al_framework_roboflow.workflow.selectors import OutputSelector, parse_selector
from al_framework_roboflow.workflow.steps import Step

_MAX_SHOWN = 8


class CycleError(ValueError):
    """Steps wait for each other.

    Attributes:
        names: Those along the circle; the first stands at the end again.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        shown = [*names[:_MAX_SHOWN], "…", names[0]] if len(names) > _MAX_SHOWN + 1 else names
        super().__init__(f"the steps wait for each other: {' → '.join(shown)}")


def ordered(steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """Return the steps so that each comes after its sources, else in the order of the document.

    Sources that are not among the steps are passed over.

    Args:
        steps: By name.

    Raises:
        CycleError: There is no such order.
    """
    done: dict[str, Step] = {}
    for start in steps:
        # A trail instead of recursion: a document may hold thousands of steps in a row.
        trail = {} if start in done else {start: _sources(steps[start])}
        while trail:
            name, sources = next(reversed(trail.items()))
            source = next((one for one in sources if one in steps and one not in done), None)
            if source is None:
                done[name] = steps[name]
                del trail[name]
            elif source in trail:
                names = list(trail)
                raise CycleError([*names[names.index(source) :], source])
            else:
                trail[source] = _sources(steps[source])
    return tuple(done.values())


def _sources(step: Step) -> Iterator[str]:
    """Yield the names of the steps that a step reads from."""
    for reference in step.references():
        selector = parse_selector(reference.text)
        if isinstance(selector, OutputSelector):
            yield selector.step
