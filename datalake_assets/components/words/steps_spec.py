"""What a `defs.yaml` of type StepsPipeline may say: the words of every pipeline, and its steps."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from datalake_assets.components.words.mistakes import Located, refuse
from datalake_assets.components.words.run import RunWords
from datalake_assets.components.words.step import StepWords
from datalake_assets.steps.model import Step

MAX_STEPS = 200


class StepsSpec(RunWords):
    """The attributes of a StepsPipeline: programs, functions and statements, one after the other or side by side."""

    steps: Annotated[tuple[StepWords, ...], Field(min_length=1, max_length=MAX_STEPS)] = Field(
        description="In order; a step with `needs` waits for those steps instead of the one above it."
    )

    @model_validator(mode="after")
    def _steps_fit_together(self) -> Self:
        refuse("steps", self._mistaken_steps())
        return self

    def assets(self, location: str) -> tuple[tuple[str, ...], ...]:
        """The one asset of the pipeline: all its steps have succeeded."""
        return ((location, "steps", self.name),)

    def plan(self) -> list[Step]:
        """The steps, each with those that it needs."""
        return [words.step(needs) for words, needs in zip(self.steps, self._needs(), strict=True)]

    def mistakes_beside(self, folder: Path) -> Iterator[Located]:
        """What the steps name and the folder of the declaration does not have: files, functions."""
        for number, words in enumerate(self.steps):
            yield from (((("steps", number, *place), text)) for place, text in words.missing(folder))

    def _needs(self) -> list[tuple[str, ...]]:
        above = [(), *((words.name,) for words in self.steps[:-1])]
        return [
            tuple(dict.fromkeys(words.needs)) if words.needs is not None else default
            for words, default in zip(self.steps, above, strict=True)
        ]

    def _mistaken_steps(self) -> Iterator[Located]:
        first: dict[str, int] = {}
        is_sound = True
        for number, words in enumerate(self.steps):
            if (earlier := first.setdefault(words.name, number)) != number:
                is_sound = False
                yield ("steps", number, "name"), f"{words.name!r} is the name of step {earlier + 1} already"
        for number, words in enumerate(self.steps):
            for at, name in enumerate(words.needs or ()):
                if name not in first:
                    is_sound = False
                    near = difflib.get_close_matches(name, first, n=1)
                    hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(first)}"
                    yield ("steps", number, "needs", at), f"there is no step {name!r}{hint}"
        if not is_sound:
            return
        needs = dict(zip(first, self._needs(), strict=True))
        if chain := find_cycle(needs):
            # Where a person wrote it: one step of each cycle has `needs`, for the order of the list has no cycle.
            number = next(first[name] for name in chain if self.steps[first[name]].needs is not None)
            text = "the step waits for itself" if len(chain) == 2 else "the steps wait for each other"
            yield ("steps", number, "needs"), f"{text}: {' → '.join(chain)}"


def find_cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """A chain of names that each need the next one, ending with its first name; empty if there is none."""
    done: set[str] = set()
    for start in needs:
        path: list[str] = []
        stack = [(start, iter(needs[start]))] if start not in done else []
        path += [name for name, _ in stack]
        while stack:
            name, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                path.pop()
                done.add(name)
            elif following in path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                path.append(following)
                stack.append((following, iter(needs[following])))
    return []
