"""The kinds of clip in a study file: a name, or a name with its options, as in ``{window: {drop: [0, 8]}}``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, create_model, model_validator

from clipsweep.orchestrator.study.expected import either
from clipsweep.orchestrator.study.section import Names, Says, Section
from clipsweep.trials.spec.kinds import KINDS, KindOfClip, complete
from clipsweep.trials.spec.options import REQUIRED, Option

EXAMPLE = "{window: {drop: [0, 8]}}"


class _OneKind(Section):
    """A mapping that names one kind of clip, with its options."""

    @model_validator(mode="after")
    def check_one(self) -> _OneKind:
        """Refuse none, and several."""
        if len(self.model_fields_set) != 1:
            raise ValueError("one kind")
        return self


def _options_section(name: str, options: tuple[Option, ...]) -> Any:
    """The section of a kind's options."""
    fields: dict[str, Any] = {
        option.name: (
            _option_type(option),
            Field(... if option.default is REQUIRED else option.default, description=option.means),
        )
        for option in options
    }
    return create_model(f"OptionsOf_{name}", __base__=Section, **fields)


def _option_type(option: Option) -> Any:
    told = Names(option.names) if option.names else Says(option.expected)
    return Annotated[Any, AfterValidator(option.read), told]


def _kind_section() -> Any:
    """The section that has a key for each kind of clip."""
    fields: dict[str, Any] = {
        name: (_options_section(name, entry.options) | None, Field(None, description=entry.means))
        for name, entry in KINDS.items()
    }
    return create_model("KindWithOptions", __base__=_OneKind, **fields)


if TYPE_CHECKING:
    KindWithOptions = _OneKind  # a type checker cannot follow a class that is made from a table
else:
    KindWithOptions = _kind_section()


def read_kind(entry: Any) -> KindOfClip:
    """A kind with its options, defaults filled in, of an entry of ``space.kinds``.

    Raises:
        SpecError: Options that do not go together.
    """
    if isinstance(entry, str):
        return KindOfClip(entry, complete(entry, None))
    (name,) = entry.model_fields_set
    held = getattr(entry, name)
    given = held.model_dump() if held is not None else {}
    return KindOfClip(name, complete(name, json.dumps(given) if given else None))


def _check_kind(entry: Any) -> Any:
    """Refuse the bare name of a kind that needs an option."""
    if isinstance(entry, str):
        complete(entry, None)
    return entry


def _plain(entry: Any) -> Any:
    """An entry as a file holds it: a name, or a mapping with every option."""
    kind = read_kind(entry)
    return kind.name if kind.options is None else {kind.name: json.loads(kind.options)}


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


ONE_MAPPING_IS_A_LIST = BeforeValidator(_as_list)
Kind = Annotated[
    Annotated[str, Names(KINDS)] | KindWithOptions,
    AfterValidator(_check_kind),
    PlainSerializer(_plain),
    Says(f"{either(list(map(repr, KINDS)))}, or one with its options, as in {EXAMPLE}"),
]
