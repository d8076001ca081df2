"""What all tests share: one cache of built C++ a session, and how hypothesis runs."""

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser):
    parser.addoption(
        "--libraries-only",
        action="store_true",
        help="only the files of tests that ask for a library: the others ran in the environment without any",
    )


def pytest_ignore_collect(collection_path, config):
    """Files that ask for nothing run the same wherever numpy is the same."""
    if not config.getoption("--libraries-only") or not collection_path.match("test_*.py"):
        return None
    text = collection_path.read_text(encoding="utf-8")
    # True ignores it; False would keep it in spite of --ignore.
    return None if any(word in text for word in ("importorskip", "legacy_keras", "skipif")) else True


@pytest.fixture(scope="session", autouse=True)
def library_cache(tmp_path_factory):
    """Libraries are built into the session's own folder, which the workers of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "keras_hls-cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HLS_CACHE", str(folder))
        yield folder
