"""A notebook file as Markdown: what was written, run and printed, without pictures and bookkeeping. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_OUTPUT_CHARACTERS = 2_000  # of one output; a longer one is cut in its middle


def notebook_text(data: bytes) -> str | None:
    """Return the cells in order, or None where it is no notebook."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return None
    cells = told.get("cells") if isinstance(told, Mapping) else None
    if not isinstance(cells, list):
        return None
    language = _language(told)
    return "\n\n".join([text for cell in cells if isinstance(cell, Mapping) for text in _cell(cell, language)])


def _language(told: Mapping[str, Any]) -> str:
    metadata = told.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, Mapping) else None
    language = kernel.get("language") if isinstance(kernel, Mapping) else None
    return language if isinstance(language, str) and language.isalnum() else "python"


def _cell(cell: Mapping[str, Any], language: str) -> Iterator[str]:
    source = _text(cell.get("source"))
    if cell.get("cell_type") != "code":
        yield source
        return
    yield _fenced(source, language)
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, Mapping) and (printed := _printed(output)):
            yield _fenced(printed, "output")


def _printed(output: Mapping[str, Any]) -> str:
    data = output.get("data")
    shown = data if isinstance(data, Mapping) else {}
    text = _text(output.get("text")) or _text(shown.get("text/markdown")) or _text(shown.get("text/plain"))
    if output.get("output_type") == "error":
        text = f"{output.get('ename')}: {output.get('evalue')}"
    if any(str(kind).startswith("image/") for kind in shown):
        text = f"{text}\n(a picture, left out)".strip()
    if len(text) <= _OUTPUT_CHARACTERS:
        return text
    half = _OUTPUT_CHARACTERS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def _text(value: object) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else ""


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
