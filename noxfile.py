"""All checks and tests, in environments that this file makes: `nox` runs everything that CI runs."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "core", "keras3", "keras2"]
nox.options.error_on_missing_interpreters = False
nox.needs_version = ">=2024.4"

#: Both cores of a small machine; each worker keeps its own compiler cache warm over the whole run.
PYTEST = ("pytest", "-n", "2", "--dist", "worksteal")
#: Our C++ headers against the vendor's: what Python is around them changes nothing, so `core` alone runs it.
CPP_ONLY = "--ignore=tests/emitters/test_ap_types.py"
#: What asks for no library has run in `core`, with the same numpy; that of `keras2` is older.
LIBRARIES = "--libraries-only"


@nox.session
def lint(session: nox.Session) -> None:
    """Style of every file."""
    session.install("ruff~=0.17.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types of what users install: an editable install would show the checker the core folder only."""
    session.install(".", "mypy~=2.4")
    session.chdir(session.create_tmp())
    session.run("mypy", "--config-file", f"{session.invoked_from}/pyproject.toml", "-p", "keras_hls")


@nox.session
def core(session: nox.Session) -> None:
    """The wheel with its few core dependencies alone: no Keras, no MLflow."""
    session.install(".", "pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100")
    # For the vendor's headers that it carries, not to be imported; its own dependencies aren't needed for that.
    session.install("--no-deps", "hls4ml==1.3.0")
    session.run(*PYTEST, *session.posargs)


@nox.session
def keras3(session: nox.Session) -> None:
    """Keras 3 with TensorFlow and JAX, HGQ2 and MLflow; tf_keras, for its models in the same process."""
    session.install("-e", ".[hgq2,mlflow,test]", "jax", "tf_keras")
    session.run(*PYTEST, CPP_ONLY, LIBRARIES, *session.posargs)


@nox.session(python="3.11")
def keras2(session: nox.Session) -> None:
    """TensorFlow 2.15 with QKeras, HGQ and MLflow; HGQ can't live beside Keras 3."""
    # Without hls4ml: where that is, HGQ takes no layer into a proxy but those that it has handlers for.
    session.install("-e", ".[qkeras,hgq,mlflow,example]", "pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6.100")
    session.run(*PYTEST, CPP_ONLY, *session.posargs)
