"""What the site says of the code, from the code: keys of a study file, commands, public names, the notebook.

A page of ``docs`` holds one of these directives where it stands: ``study-keys``, ``commands``, ``public-names`` and
``notebook-cells``. Each gives Markdown, which is read in the directive's place; no file is written.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import clipsweep
from clipsweep.orchestrator.cli import app as command_line
from clipsweep.orchestrator.editing.json_schema import study_schema

UNBOUNDED = 2**53  # a bound beyond it is that of the number format
FEW_KEYS = 4  # of a mapping that is shown with its keys
WORDS = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "a mapping"}


def study_keys() -> Iterator[str]:
    """Lines of Markdown: a heading for each section of a study file, and below it each key with type and default."""
    schema = study_schema()
    yield from _section(schema, "", schema)


def _section(schema: Mapping[str, Any], prefix: str, root: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a mapping, then a heading for each of those that hold mappings themselves."""
    for key, held in schema["properties"].items():
        if "$ref" not in held:  # a section has no more than its heading
            default = f"default `{_plain(held['default'])}`" if "default" in held else "no default"
            facts = "; ".join(filter(None, [_type(held, root), default]))
            yield from ["", f"`{prefix}{key}`", f": {_escaped(held['description'])}\\", f"  {facts}"]
    for key, held in schema["properties"].items():
        inner = [each for each in _mappings(held, root) if each["properties"]]
        if inner:
            yield from ["", f"{'#' * (2 + prefix.count('.'))} {prefix}{key}", ""]
            yield from [held["description"]] if "$ref" in held else []
        for each in inner:
            yield from _section(each, f"{prefix}{key}.", root)


def _mappings(held: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The mappings with keys of their own that a value, or what it lists, may be; each once."""
    if "$ref" in held:
        yield root["$defs"][held["$ref"].rpartition("/")[2]]
    found = [inner for each in held.get("anyOf", []) for inner in _mappings(each, root)]
    yield from (each for place, each in enumerate(found) if each not in found[:place])


def _type(held: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """The type of a value in words; nothing where the schema does not say."""
    words = list(dict.fromkeys(_words(held, root)))
    last = [word for word in words if word == "null"]
    words = [word for word in words if word != "null"] + last
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _words(held: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[str]:
    """What a value may be, a few words for each; lists come last."""
    parts = [each for part in held.get("anyOf", [held]) for each in part.get("anyOf", [part])]
    single = [word for part in parts if not _is_list(part) for word in _single(part, root)]
    yield from single
    for items in (part["items"] for part in parts if _is_list(part)):
        yield "a list of such" if {*_words(items, root)} <= {*single} else f"a list of {_type(items, root)}"


def _single(part: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[str]:
    """What one alternative may be; each of listed values is one."""
    if "$ref" in part:
        (mapping,) = _mappings(part, root)
        keys = list(mapping["properties"])
        yield f"`{{{', '.join(keys)}}}`" if 0 < len(keys) <= FEW_KEYS else "a mapping"
    elif "enum" in part or "const" in part:
        yield from (f"`{_plain(value)}`" for value in part.get("enum", [part.get("const")]))
    elif part.get("type") == "array":
        yield f"a list of {part['maxItems']} of {_type(part['items'], root)}"
    else:
        kind = part.get("type", "")
        yield WORDS.get(kind, kind) + _bounds(part)


def _is_list(held: Mapping[str, Any]) -> bool:
    """Whether it is a list of any length."""
    return held.get("type") == "array" and "maxItems" not in held


def _bounds(held: Mapping[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    found = [f"{word} {held[key]:g}" for key, word in words.items() if key in held and abs(held[key]) < UNBOUNDED]
    return f" {' '.join(found)}" if found else ""


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def commands() -> Iterator[str]:
    """Lines of Markdown: a heading for each command, then what its ``--help`` says."""
    yield from _command(typer.main.get_command(command_line), "clipsweep")


def _command(command: typer.core.TyperCommand | typer.core.TyperGroup, path: str) -> Iterator[str]:
    """What a command does, how it is called, and what it takes; then the commands below it."""
    context = typer.Context(command, info_name=path)
    pieces = " ".join(command.collect_usage_pieces(context))
    yield from ["", f"## {path}", "", inspect.cleandoc(command.help or ""), "", f"    {path} {pieces}"]
    for parameter in command.params:
        if (record := parameter.get_help_record(context)) is not None:
            names, means = record
            yield from ["", f"`{names}`", f": {_escaped(' '.join(means.split()))}"]
    examples = re.findall(r"^ *(clipsweep .*)$", inspect.cleandoc(command.epilog or ""), re.M)
    if examples:
        yield from ["", "Examples:", "", *(f"    {example}" for example in examples)]
    for name, below in getattr(command, "commands", {}).items():
        yield from _command(below, f"{path} {name}")


def _escaped(text: str) -> str:
    """Text of help as Markdown shows it letter by letter."""
    return re.sub(r"([\\`*_\[\]<>{}])", r"\\\1", text)


def public_names() -> Iterator[str]:
    """Lines of Markdown: the functions of ``clipsweep``, then its classes, each by its docstring."""
    found = {name: getattr(clipsweep, name) for name in clipsweep.__all__ if not name.startswith("_")}
    functions = [name for name, value in found.items() if not inspect.isclass(value)]
    yield from ["## Functions", "", "```{eval-rst}"]
    yield from (f".. autofunction:: clipsweep.{name}" for name in functions)
    yield from ["```", "", "## Classes", "", "```{eval-rst}"]
    for name in sorted(found.keys() - {*functions}):
        given = "(**sections)" if name == "Study" else ""  # its keys have a page of their own
        yield from [f".. autoclass:: clipsweep.{name}{given}", "   :members:", "   :exclude-members: model_config", ""]
    yield "```"


def notebook_cells() -> Iterator[str]:
    """Lines of Markdown: the text and the code of ``notebook.ipynb``, and what its cells print."""
    notebook = json.loads((Path(__file__).parent / "notebook.ipynb").read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        yield from ["", text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```", ""]
        for output in cell.get("outputs", []):
            yield from ["", _shown(output), ""]


def _shown(output: Mapping[str, Any]) -> str:
    """What a cell gave: a picture where it drew one, else text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f"![The figure that the cell above draws](data:image/png;base64,{''.join(data['image/png'].split())})"
    return f"```text\n{''.join(output.get('text', data.get('text/plain', ''))).rstrip()}\n```"


class _MadeText(SphinxDirective):
    """Markdown that a function gives, read where the directive stands."""

    lines: ClassVar[Callable[[], Iterator[str]]]

    def run(self) -> list[nodes.Node]:
        """Read it, headings too."""
        return self.parse_text_to_nodes("\n".join(type(self).lines()), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    for name, lines in {
        "study-keys": study_keys,
        "commands": commands,
        "public-names": public_names,
        "notebook-cells": notebook_cells,
    }.items():
        app.add_directive(name, type(name, (_MadeText,), {"lines": staticmethod(lines)}))
    return {"parallel_read_safe": True}
