"""Write docs/layers.md from what the readers of layers say of themselves: ``python docs/generate_layers.py``.

A test holds the file against this. Classes that no reader takes are listed as refused, as far as Keras 3 and HGQ2 are there
to be asked for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from keras_hls.layers_ext.reading import OPERATIONS, READINGS, Reading

FILE = Path(__file__).with_name("layers.md")

HEAD = """\
# Layers and quantizers

Written by docs/generate_layers.py from the readers in layers_ext/; don't edit it by hand.

Every row is **exact**: bit for bit what Keras computes wherever its float32 arithmetic is exact, given quantized inputs and
weights. Rows with a bound are computed to so many bits, and verification holds them to the bound. Layers without quantizers
get their types from `calibration=` samples or `precision=`, and are then exact in these types.

An argument that isn't listed is refused unless it stands at its default, and so is any value that a condition excludes: in
one sentence that names the layer, the argument, and what to do. Arguments that only matter in training (initializers,
regularizers, constraints, `seed`, ...) are free. Masks are refused. What isn't listed at all is refused.
"""

TAIL = """\
## Quantizers of HGQ2

| | status | notes |
|---|---|---|
| kbi, kif | exact | weights, biases, inputs (`iq`), outputs (`oq`), tables |
| rounding TRN, RND, RND_CONV, S_RND, S_RND_CONV | exact | stochastic ones in their inference form |
| overflow WRAP, SAT, SAT_SYM | exact | a WRAP quantizer that saw no data is refused |
| per tensor, channel, element; custom `bw_mapper` | exact | zero and negative bits give the constant 0 |
| `scaler` | exact if a power of two | others refused |
| `affine`, float (minifloat) quantizers | refused | |
| one input read by several differing quantizers | exact if | all truncate or round with RND, and all wrap or all saturate |

## Quantizers of QKeras

| | status | notes |
|---|---|---|
| `quantized_bits`, `quantized_linear`, `quantized_relu`, `quantized_hswish` | exact | casts and straight pieces |
| `quantized_tanh`, `quantized_sigmoid` | exact | likewise; with `use_real_tanh` or `use_real_sigmoid` a table |
| `quantized_ulaw` | exact | a table |
| `quantized_po2`, `quantized_relu_po2`, `binary`, `ternary` | exact | by comparisons |
| `stochastic_binary`, `stochastic_ternary` | exact | as they are at inference |
| `bernoulli` | refused | random at inference as well |
| `hard_tanh`, `hard_sigmoid`, `smooth_tanh`, `smooth_sigmoid` | exact | functions, as activations of QKeras's and Keras's layers |
| `binary_tanh`, `binary_sigmoid` | exact | likewise |
| `set_internal_sigmoid` | exact | of a live model, as it stands when that is read; no file holds it, and files mean "hard" |
| `alpha` of weights: None, numbers, `"auto"`, `"auto_po2"` | exact | a factor that is no power of two is multiplied exactly |
| `alpha` of activations | exact if | it is None or numbers: `"auto"` takes it from the whole batch, and is refused |
| `qnoise_factor` | refused | unless it is 1 |
| quantizers of one's own, also by string | refused | no text is evaluated |

## Models

| | status |
|---|---|
| files of Keras 2 and tf_keras: `.json` with `.h5`, whole `.h5`, `.keras` | exact; read without Keras, QKeras or HGQ |
| live models of Keras 2: Sequential and functional, nested, shared layers, several inputs and outputs | exact |
| Sequential, functional, nested to any depth, shared layers, several inputs and outputs, dead branches | exact |
| subclassed models, custom layers and `Lambda` whose `call` is made of layers and `keras.ops` | exact: traced |
| `keras.ops` calls and operators between layers | as listed below |
| inputs of float32; of integers where a layer takes them | exact |
| saved `.keras` files of Keras 3 | exact; code in a file is never run |
| operations of TensorFlow between layers of Keras 2 | as listed below the operations of Keras 3 |
| `call` that depends on values, on masks, or on random numbers | refused |

## Types

Values, weights and sums of up to 63 bits with their sign; tables of up to 2^20 entries; more is refused.
"""


#: Whose layers they are, and with which word their paths begin.
_LIBRARIES = (
    ("Keras", "keras."),
    ("HGQ2", "hgq."),
    ("QKeras", "qkeras."),
    ("HGQ", "HGQ."),
    ("binary and ternary networks of Keras 2's early years", "binary."),
)


def rows(readings: Mapping[str, Reading]) -> Iterable[str]:
    """One row for each reader, with all classes that it takes."""
    grouped: dict[int, list[str]] = {}
    for path, reading in readings.items():
        grouped.setdefault(id(reading), []).append(path)
    for paths in sorted(grouped.values(), key=lambda names: names[0]):
        reading = readings[paths[0]]
        names = ", ".join(f"`{path.rsplit('.', 1)[-1]}`" for path in sorted(paths))
        arguments = [f"`{key}`" for key in reading.consumes if key not in reading.conditions]
        arguments += [f"`{key}`: {phrase}" for key, phrase in sorted(reading.conditions.items())]
        arguments += [f"`{key}`: only `{value!r}`" for key, value in sorted(reading.neutral.items())]
        status = f"within {reading.within}" if reading.within else "exact"
        yield f"| {names} | {status} | {'; '.join(arguments)} | {reading.note} |"


def refused() -> str:
    """The classes of Keras and HGQ2 that no reader takes."""
    import hgq.layers
    import keras

    from keras_hls.frontends.keras3.layer_views import class_path

    found = {
        class_path(cls)
        for module in (keras.layers, hgq.layers)
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, keras.layers.Layer) and not issubclass(cls, keras.Model)
    }
    names = sorted(path.rsplit(".", 1)[-1] for path in found if path not in READINGS)
    names = [
        name for name in names if name not in ("Layer", "Wrapper", "InputLayer") and not name.startswith("QLayerBase")
    ]
    return ", ".join(f"`{name}`" for name in names)


def tensorflow_operations() -> str:
    """The functions of TensorFlow that are read as operations of ``keras.ops``."""
    from keras_hls.frontends.keras2.tf_operations import OPERATIONS as FUNCTIONS

    named = {name.removeprefix("compat.v1."): entry.path for name, entry in FUNCTIONS.items()}
    names = {name: f"`tf.{name}`" for name in named if not name.startswith("__")}
    return ", ".join(names[name] for name in sorted(names))


def text() -> str:
    """Return what docs/layers.md must be."""
    import keras_hls.layers_ext  # noqa: F401  (registers all readers)

    table = "| | status | arguments | notes |\n|---|---|---|---|"
    parts = [HEAD]
    for title, prefix in _LIBRARIES:
        own = {path: reading for path, reading in READINGS.items() if path.startswith(prefix)}
        parts.append(f"## Layers of {title}\n\n" + "\n".join([table, *rows(own)]) + "\n")
    parts.append(
        "## Classes that are refused\n\nOf Keras 3.15 and HGQ2 0.2, whatever their arguments, unless what they call can be"
        f" traced:\n\n{refused()}\n"
    )
    parts.append(
        "## Operations of Keras 3\n\nIn functional models and in what is traced.\n\n"
        + "\n".join([table, *rows(OPERATIONS)])
        + "\n"
    )
    parts.append(
        "## Operations of TensorFlow between layers of Keras 2\n\nExact as those of Keras 3 above, of which each is one: the"
        " operators of Python, indexing with numbers, slices, `None` and `...`, and what Keras's backend and activations make of"
        f" them.\n\n{tensorflow_operations()}\n"
    )
    return "\n".join([*parts, TAIL])


if __name__ == "__main__":
    FILE.write_text(text())
