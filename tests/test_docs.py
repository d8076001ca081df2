"""The documentation says what the code does."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


def generator():
    spec = importlib.util.spec_from_file_location("generate_layers", DOCS / "generate_layers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_layers_md_is_what_the_readers_say():
    pytest.importorskip("keras")
    pytest.importorskip("hgq")
    assert (DOCS / "layers.md").read_text() == generator().text(), "run python docs/generate_layers.py"
