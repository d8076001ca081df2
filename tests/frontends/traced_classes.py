"""A layer and a model with call methods of their own, and what a trace of them could change."""

from __future__ import annotations

import keras
import numpy as np
from hgq.layers import QAdd
from small_models import conf, dense, quantizer


@keras.saving.register_keras_serializable(package="traced")
class Block(keras.layers.Layer):
    """A layer made of layers, weights and operations."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.cut = quantizer("cut")
        self.core = dense(units, "core")
        self.drop = keras.layers.Dropout(0.5)

    def build(self, shape):
        start = keras.initializers.RandomUniform(-2, 2, seed=3)
        self.factor = self.add_weight(
            shape=(shape[-1],), initializer=lambda s, dtype: keras.ops.round(start(s) * 4) / 4
        )
        self.cut.build(shape)
        self.core.build(shape)
        super().build(shape)

    def call(self, x, training=None):
        if training:
            self.add_loss(keras.ops.sum(x))
        y = self.core(self.cut(self.factor * x + x * 0.5))
        return self.drop(keras.ops.relu(y), training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="traced")
class Net(keras.Model):
    """Takes a dict, gives a dict, and calls its layers as it likes."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.entry = {"a": dense(units, "a"), "b": dense(units, "b")}
        self.blocks = [Block(units, name=f"block{n}") for n in range(2)]
        self.inner = keras.Sequential([dense(units, "deep"), keras.layers.ReLU(name="cut")], name="inner")
        self.sum = QAdd(iq_confs=conf(), name="sum")
        self.head = keras.layers.Activation("softmax", name="head")
        self.out = quantizer("out")

    def call(self, inputs, training=None):
        a, b = self.entry["a"](inputs["left"]), self.entry["b"](inputs["right"])
        for block in self.blocks:
            a = block(a, training=training)
        total = self.sum([self.inner(a), self.inner(b)], training=training)
        rows = keras.ops.reshape(total, (keras.ops.shape(total)[0], 2, self.units // 2))
        return {"class": self.head(total), "rest": (self.out(rows)[:, ::-1], a)}

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def state(model):
    """All that a trace could change."""
    parts = list(model._flatten_layers())
    return (
        [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables],
        [(id(part), part.name, part.built, sorted(vars(part))) for part in parts],
        [(id(part._inbound_nodes), len(part._inbound_nodes), len(part._outbound_nodes)) for part in parts],
        keras.layers.Dense(1).name.rsplit("_", 1)[0],
    )
