"""What all callbacks of this package build on: one class for the models of Keras 3, Keras 2 and tf_keras."""

from __future__ import annotations

from typing import Any

import keras

from keras_hls.errors import InvalidModel
from keras_hls.frontends.keras2.live import is_keras2


class HLSCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """A Keras callback that may be given to `fit` of either Keras, where Keras 3 and tf_keras are both installed.

    Neither asks for a class of its own: what Keras 2 calls of a callback and Keras 3's class doesn't have is added here.
    """

    def set_model(self, model: Any) -> None:
        """Take the model that is going to train.

        Raises
        ------
        InvalidModel
            If it isn't one of Keras.
        """
        super().set_model(model)
        if not isinstance(self.model, keras.Model) and not is_keras2(self.model):
            kind = type(self.model)
            raise InvalidModel(
                f"{type(self).__name__} needs a model of Keras or tf_keras, not a {kind.__module__}.{kind.__qualname__}"
            )

    def __getstate__(self) -> dict[str, Any]:
        # The model belongs to a training; Keras 3 and Keras 2 have it under different names.
        return {name: None if name in ("model", "_model") else value for name, value in self.__dict__.items()}

    # Keras 2 asks for these, and fetches nothing from its graphs for hooks that do nothing.

    def _implements_train_batch_hooks(self) -> bool:
        return self._overrides("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")

    def _implements_test_batch_hooks(self) -> bool:
        return self._overrides("on_test_batch_begin", "on_test_batch_end")

    def _implements_predict_batch_hooks(self) -> bool:
        return self._overrides("on_predict_batch_begin", "on_predict_batch_end")

    def _overrides(self, *hooks: str) -> bool:
        return any(getattr(type(self), hook) is not getattr(keras.callbacks.Callback, hook) for hook in hooks)
