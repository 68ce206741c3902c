"""One kernel for a module of tests, with the extension loaded and the simulator chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .kernel import Kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel with a home of its own."""
    home = tmp_path_factory.mktemp("home")
    kernel = Kernel()
    try:
        started = kernel.run(
            f"import os; os.environ['OR_MAGIC_HOME'] = {str(home)!r}\n%load_ext or_magic\n%or use offline"
        )
        assert started.status == "ok", started.error
        yield kernel
    finally:
        kernel.close()


@pytest.fixture
def fresh_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel of one test, with nothing loaded."""
    kernel = Kernel()
    try:
        kernel.run(f"import os; os.environ['OR_MAGIC_HOME'] = {str(tmp_path)!r}")
        yield kernel
    finally:
        kernel.close()
