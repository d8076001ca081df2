"""Export as a method of the model: by a mixin, or for every Keras model at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from keras_hls.cost import ResourceEstimate
from keras_hls.errors import HLSError
from keras_hls.project import Project
from keras_hls.sim.emulator import Samples
from keras_hls.snapshots import Snapshot


class HLSModelMixin:
    """Gives a model class `export_hls`, `estimate_hls` and `snapshot_hls`.

    ::

        class Net(keras_hls.HLSModelMixin, keras.Model): ...
    """

    def export_hls(self, directory: str | Path, *, verify: bool | Samples = True, **options: Any) -> Project:
        """Write this model as an HLS C++ project; see `keras_hls.export_hls`."""
        from keras_hls.api import export_hls

        return export_hls(self, directory, verify=verify, **options)

    def estimate_hls(self, **options: Any) -> ResourceEstimate:
        """Return what this model would cost; see `keras_hls.estimate`."""
        from keras_hls.api import estimate

        return estimate(self, **options)

    def snapshot_hls(self, **options: Any) -> Snapshot:
        """Return this model's graph as it is now; see `keras_hls.snapshot`."""
        from keras_hls.api import snapshot

        return snapshot(self, **options)


_METHODS = ("export_hls", "estimate_hls", "snapshot_hls")


def enable() -> None:
    """Give every ``keras.Model`` the methods of `HLSModelMixin`, those that are loaded later as well.

    Every ``tf_keras.Model`` too, if tf_keras is imported already. Explicit, never on import; a second call does nothing.

    Raises
    ------
    HLSError
        If another package has taken one of the names.
    """
    import keras

    ours = {name: getattr(HLSModelMixin, name) for name in _METHODS}
    legacy = sys.modules.get("tf_keras")
    owners = [module.Model for module in (keras, legacy) if module is not None]
    for owner in owners:
        for name, method in ours.items():
            there = owner.__dict__.get(name)
            if there is not None and there is not method:
                raise HLSError(
                    f"{owner.__module__.partition('.')[0]}.Model.{name} is taken by {there.__module__}; use"
                    " keras_hls.HLSModelMixin instead"
                )
    for owner in owners:
        for name, method in ours.items():
            setattr(owner, name, method)
