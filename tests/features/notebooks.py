"""Saved notebooks to read receipts from."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_numbers = itertools.count()


def receipt(**told: Any) -> dict[str, Any]:
    """A receipt as ``words.receipt`` writes it: a real, settled answer that cost a tenth of a cent."""
    number = next(_numbers)
    usual = {
        "generation_id": f"gen-{number}",
        "call_id": f"call {number}",
        "tag": None,
        "gateway": "openrouter",
        "model_requested": "acme/one",
        "model": "acme/one",
        "provider": "Acme",
        "status": "ok",
        "finish_reason": "stop",
        "latency_s": 1.5,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "cost_usd": "0.001",
    }
    return usual | told


def cell(*receipts: Any, source: str | list[str] = "%%or\nhello", **more: Any) -> dict[str, Any]:
    """A code cell whose outputs have these receipts, each with a status line after it."""
    outputs: list[dict[str, Any]] = []
    for each in receipts:
        outputs.append({"output_type": "display_data", "data": {}, "metadata": {"or_magic": each}})
        outputs.append({"output_type": "display_data", "data": {"text/plain": "✓"}, "metadata": {}})
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": outputs} | more


def notebook(folder: Path, cells: Sequence[Any], name: str = "study.ipynb") -> Path:
    """A notebook file of nbformat 4."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}), encoding="utf-8"
    )
    return path
