"""The order of the steps: each after those whose outputs it reads."""

from collections.abc import Iterator, Mapping

from al_framework_roboflow.workflow.selectors import OutputSelector, parse_selector
from al_framework_roboflow.workflow.steps import Step


def sources(step: Step) -> Iterator[str]:
    """Yield the names of the steps that a step reads from."""
    for reference in step.references():
        selector = parse_selector(reference.text)
        if isinstance(selector, OutputSelector):
            yield selector.step


def ordered(steps: Mapping[str, Step]) -> tuple[Step, ...]:
    """Return the steps so that each comes after its sources, else in the order of the document.

    Args:
        steps: By name, without cycles.
    """
    done: dict[str, Step] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        for source in sources(steps[name]):
            visit(source)
        done[name] = steps[name]

    for name in steps:
        visit(name)
    return tuple(done.values())


def find_cycle(steps: Mapping[str, Step]) -> list[str] | None:
    """Return the names along a circle of steps that wait for each other, or None.

    The first name stands at the end again.
    """
    safe: set[str] = set()
    for start in steps:
        trail: list[str] = []
        found = _walk(start, steps, trail, safe)
        if found is not None:
            return found
    return None


def _walk(
    name: str, steps: Mapping[str, Step], trail: list[str], safe: set[str]
) -> list[str] | None:
    if name in trail:
        return [*trail[trail.index(name) :], name]
    if name in safe or name not in steps:
        return None
    trail.append(name)
    for source in sources(steps[name]):
        found = _walk(source, steps, trail, safe)
        if found is not None:
            return found
    trail.pop()
    safe.add(name)
    return None
