"""Operations of TensorFlow between layers of a Keras 2 model, such as ``x + 1``, as those of ``keras.ops``, which readers know.

A config names the function, and holds what it is called with: tensors by their addresses, and constants as they are. Shapes of
results follow from these, as no TensorFlow is there to be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from keras_hls.fixed import Constant, FloatArray, Formats
from keras_hls.frontends.keras2.functions import ELEMENTWISE, Function, exactly
from keras_hls.frontends.view import LayerView, OperationView, ReadError

#: Classes of layers that are calls of operations.
KINDS = frozenset({"TFOpLambda", "SlicingOpLambda"})
#: Those that have several results.
SEVERAL = frozenset({"split", "unstack"})

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Slot:
    """The place of a tensor among arguments: its number among those that a call takes."""

    index: int


@dataclass(frozen=True)
class Operands:
    """What an operation is called with, in order and by name, with a `Slot` for each tensor."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def filled(self, tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with tensors in their places."""
        fill = partial(_filled, tensors=tensors)
        return tuple(fill(value) for value in self.args), {key: fill(value) for key, value in self.kwargs.items()}


def _filled(value: Any, tensors: Sequence[Any]) -> Any:
    if isinstance(value, Slot):
        return tensors[value.index]
    if isinstance(value, Mapping):
        return {key: _filled(item, tensors) for key, item in value.items()}
    return [_filled(item, tensors) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class _Operation:
    """An operation in the words of ``keras.ops``.

    Attributes
    ----------
    args : tuple
        What it is called with.
    results : sequence of tuples of int
        Shape of one sample of each of its results.
    config : mapping
        What it is made with.
    path : str
        Its class, where that depends on the arguments.
    function : function, optional
        From numbers to numbers, of one that is a table.
    """

    args: tuple[Any, ...]
    results: Sequence[Shape]
    config: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    function: Function | None = None


@dataclass(frozen=True)
class _Given:
    """The arguments of a call by name, and the shapes of samples of its tensors."""

    values: Mapping[str, Any]
    shapes: Sequence[Shape]

    def __getitem__(self, name: str) -> Any:
        if name not in self.values:
            raise ReadError(f"it is called without {name}")
        return self.values[name]

    def get(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        return default if value is None else value

    def shape(self, value: Any) -> Shape:
        """The shape of a sample, of a tensor; of a constant, the shape that broadcasts against one."""
        if isinstance(value, Slot):
            return self.shapes[value.index]
        shape = np.shape(value)
        return shape[1:] if len(shape) > self.rank else shape

    @property
    def rank(self) -> int:
        """Axes of a sample of the first tensor."""
        return len(self.shapes[0]) if self.shapes else 0

    def tensor(self, name: str) -> Slot:
        value = self[name]
        if not isinstance(value, Slot):
            raise ReadError(f"its {name} must be a tensor of the model, not {value!r}")
        return value

    def whole(self, value: Any, what: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ReadError(f"its {what} must be a whole number that the model's config holds, not {_said(value)}")
        return value

    def wholes(self, value: Any, what: str) -> list[int]:
        return [self.whole(item, what) for item in (value if isinstance(value, list) else [value])]

    def axis(self, value: Any, rank: int) -> int:
        """An axis of a batch, from 0, of a tensor whose samples have so many axes."""
        axis = self.whole(value, "axis")
        if not -rank - 1 <= axis <= rank:
            raise ReadError(f"axis {axis} isn't one of a tensor of {rank + 1} axes")
        return axis % (rank + 1)


def _said(value: Any) -> str:
    return "a tensor" if isinstance(value, Slot) else repr(value)


#: Makes an operation of arguments, and of how many of its results are used.
_Build = Callable[[_Given, int], _Operation]


def _broadcast(given: _Given, *values: Any) -> Shape:
    try:
        return np.broadcast_shapes(*(given.shape(value) for value in values))
    except ValueError:
        raise ReadError(
            f"its operands' samples of shapes {', '.join(str(given.shape(v)) for v in values)} don't broadcast"
        ) from None


def _binary(
    given: _Given, count: int, power: Callable[[FloatArray, FloatArray], FloatArray] | None = None
) -> _Operation:
    x, y = given["x"], given["y"]
    function = None
    if power is not None and not (isinstance(x, Slot) and isinstance(y, Slot)):
        function = exactly(
            lambda v: power(*(v if isinstance(side, Slot) else np.asarray(side, np.float64) for side in (x, y)))
        )
    return _Operation((x, y), [_broadcast(given, x, y)], function=function)


def _sum_of_tensors(given: _Given, count: int) -> _Operation:
    inputs = given["inputs"]
    if not isinstance(inputs, list) or len(inputs) != 2:
        raise ReadError("it adds another number of tensors than two; use keras.layers.Add")
    return _Operation(tuple(inputs), [_broadcast(given, *inputs)])


def _bias(given: _Given, count: int) -> _Operation:
    if str(given.get("data_format", "N...C")).startswith("NC"):
        raise ReadError("it adds along the first axis of a sample; transpose it before")
    value, bias = given.tensor("value"), given["bias"]
    return _Operation((value, bias), [_broadcast(given, value, bias)])


def _unary(given: _Given, count: int, name: str = "", config: Mapping[str, Any] | None = None) -> _Operation:
    x = given.tensor("x")
    return _Operation((x,), [given.shape(x)], config or {}, function=ELEMENTWISE.get(name))


def _gelu(given: _Given, count: int) -> _Operation:
    approximate = bool(given.get("approximate", False))
    name = "gelu_tanh" if approximate else "gelu"
    return _unary(given, count, name, {"approximate": approximate})


def _with_axis(given: _Given, count: int) -> _Operation:
    return _unary(given, count, "", {"axis": given.whole(given.get("axis", -1), "axis")})


def _leaky(given: _Given, count: int) -> _Operation:
    return _unary(given, count, "", {"negative_slope": float(given.get("alpha", 0.2))})


def _clip(given: _Given, count: int) -> _Operation:
    ends = [given[name] for name in ("clip_value_min", "clip_value_max")]
    if any(isinstance(end, (Slot, list)) for end in ends):
        raise ReadError("its ends must be numbers; use tf.maximum and tf.minimum")
    return _unary(given, count, "", dict(zip(("x_min", "x_max"), ends)))


def _cast(given: _Given, count: int) -> _Operation:
    if given["dtype"] != "float32":
        raise ReadError(f"it casts to {given['dtype']}, and only float32 can be exported")
    return _unary(given, count, "", {"dtype": "float32"})


def _reduced(given: _Given, count: int) -> _Operation:
    x = given.tensor("x")
    shape, kept = given.shape(x), bool(given.get("keepdims", False))
    axis = given.values.get("axis")
    if axis is None:
        raise ReadError("without an axis it reduces the batch too; give the axes of a sample")
    axes = [given.axis(a, len(shape)) - 1 for a in given.wholes(axis, "axis")]
    result = [1 if i in axes else n for i, n in enumerate(shape) if kept or i not in axes]
    return _Operation((x,), [tuple(result)], {"axis": [a + 1 for a in axes], "keepdims": kept})


def _matmul(given: _Given, count: int) -> _Operation:
    a, b = given["a"], given["b"]
    turned = [bool(given.get(f"transpose_{side}", False)) or bool(given.get(f"adjoint_{side}", False)) for side in "ab"]
    first, second = given.shape(a), given.shape(b)
    if isinstance(a, Slot) and isinstance(b, Slot):
        if len(first) != len(second) or len(first) < 2:
            raise ReadError(
                f"samples of shapes {first} and {second} are multiplied across the batch; reshape one of them"
            )
        rows, terms, last, columns = (*_turned(first, turned[0])[-2:], *_turned(second, turned[1])[-2:])
        if terms != last:
            raise ReadError(f"matrices of shapes {first} and {second} can't be multiplied")
        result = (*np.broadcast_shapes(first[:-2], second[:-2]), rows, columns)
        if not any(turned):
            return _Operation((a, b), [result])
        return _Operation((a, b), [result], {"subscripts": _subscripts(len(first), turned)}, "keras.ops.Einsum")
    kernel = np.asarray(b, np.float32) if not isinstance(b, Slot) else None
    if kernel is None or kernel.ndim != 2 or turned[0]:
        raise ReadError("only a tensor times a constant matrix, in this order, can be read; use a Dense layer")
    kernel = kernel.T if turned[1] else kernel
    if not first or first[-1] != len(kernel):
        raise ReadError(f"samples of shape {first} and a matrix of shape {kernel.shape} can't be multiplied")
    return _Operation((a, kernel), [(*first[:-1], kernel.shape[1])])


def _turned(shape: Shape, turned: bool) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if turned else shape


def _subscripts(rank: int, turned: Sequence[bool]) -> str:
    """The equation of a product of matrices, some of them transposed; the batch is an axis of its own."""
    batch = "abcdefgh"[: rank - 1]
    sides = [pair[::-1] if turn else pair for pair, turn in zip(("xy", "yz"), turned)]
    return f"{batch}{sides[0]},{batch}{sides[1]}->{batch}xz"


def _reshape(given: _Given, count: int) -> _Operation:
    x = given.tensor("tensor")
    wanted = given.wholes(given["shape"], "shape")
    if not wanted or wanted[0] != -1 or min(wanted[1:], default=1) < 1:
        raise ReadError(
            f"shape={wanted} must begin with -1, for the batch, and hold no other: samples are computed one by one"
        )
    # A batch of another size would mix samples, which the reader refuses.
    return _Operation((x,), [tuple(wanted[1:])], {"newshape": wanted})


def _expand(given: _Given, count: int) -> _Operation:
    x = given.tensor("input")
    shape = given.shape(x)
    axis = given.axis(given["axis"], len(shape) + 1) - 1
    if axis < 0:
        raise ReadError("it puts an axis before the batch, which must stay the first")
    return _Operation((x,), [(*shape[:axis], 1, *shape[axis:])], {"axis": axis + 1})


def _squeeze(given: _Given, count: int) -> _Operation:
    x = given.tensor("input")
    shape, value = given.shape(x), given.get("axis", given.get("squeeze_dims", None))
    every = [i + 1 for i, n in enumerate(shape) if n == 1]
    axes = [given.axis(a, len(shape)) for a in given.wholes(value, "axis")] if value not in (None, []) else every
    if not set(axes) <= set(every):
        raise ReadError(
            f"it takes axes {axes} away, and of a batch of samples of shape {shape} only {every} have one element"
        )
    return _Operation((x,), [tuple(n for i, n in enumerate(shape) if i + 1 not in axes)], {"axis": axes})


def _transpose(given: _Given, count: int) -> _Operation:
    x = given.tensor("a")
    shape = given.shape(x)
    if given.get("conjugate", False):
        raise ReadError("it conjugates, and only real numbers can be exported")
    if given.values.get("perm") is None:
        raise ReadError("without perm it moves the batch, which must stay the first axis")
    axes = given.wholes(given["perm"], "perm")
    if sorted(axes) != list(range(len(shape) + 1)):
        raise ReadError(f"perm={axes} isn't an order of {len(shape) + 1} axes")
    return _Operation((x,), [tuple(shape[a - 1] for a in axes if a)], {"axes": axes})


def _joined(given: _Given, count: int) -> _Operation:
    parts = given["values"]
    shapes = [given.shape(part) for part in parts]
    axis = given.axis(given["axis"], len(shapes[0]))
    place = axis - 1
    if not all(len(s) == len(shapes[0]) for s in shapes) or any(
        len({s[i] for s in shapes}) > 1 for i in range(len(shapes[0])) if i != place
    ):
        raise ReadError(f"samples of shapes {', '.join(map(str, shapes))} can't be joined along axis {axis}")
    result = list(shapes[0])
    if axis:
        result[place] = sum(shape[place] for shape in shapes)
    return _Operation((parts,), [tuple(result)], {"axis": axis})


def _stack(given: _Given, count: int) -> _Operation:
    parts = given["values"]
    shape = given.shape(parts[0])
    axis = given.axis(given.get("axis", 0), len(shape) + 1)
    if any(given.shape(part) != shape for part in parts):
        raise ReadError("it stacks samples of several shapes")
    place = max(axis - 1, 0)
    return _Operation((parts,), [(*shape[:place], len(parts), *shape[place:])], {"axis": axis})


def _split(given: _Given, count: int) -> _Operation:
    x = given.tensor("value")
    shape, sections = given.shape(x), given["num_or_size_splits"]
    axis = given.axis(given.get("axis", 0), len(shape))
    if not axis:
        raise ReadError("it splits the batch; samples are computed one by one, so give another axis")
    length = shape[axis - 1]
    if isinstance(sections, list):
        sizes = given.wholes(sections, "num_or_size_splits")
        sizes = [length - sum(n for n in sizes if n >= 0) if n == -1 else n for n in sizes]
    else:
        parts = given.whole(sections, "num_or_size_splits")
        if parts < 1 or length % parts:
            raise ReadError(f"it splits {length} elements into {parts} equal parts")
        sizes = [length // parts] * parts
    if sum(sizes) != length or min(sizes) < 1 or count > len(sizes):
        raise ReadError(f"it splits {length} elements into parts of {sizes}")
    results = [(*shape[: axis - 1], n, *shape[axis:]) for n in sizes[:count]]
    return _Operation((x,), results, {"axis": axis, "indices_or_sections": sections})


def _unstack(given: _Given, count: int) -> _Operation:
    x = given.tensor("value")
    shape = given.shape(x)
    axis = given.axis(given.get("axis", 0), len(shape))
    if axis and count > shape[axis - 1]:
        raise ReadError(f"it has {shape[axis - 1]} results, and number {count} is read")
    rest = tuple(n for i, n in enumerate(shape) if i + 1 != axis)
    return _Operation((x,), [rest] * count, {"axis": axis})


def _pad(given: _Given, count: int) -> _Operation:
    x, pairs = given.tensor("tensor"), given["paddings"]
    shape = given.shape(x)
    mode = str(given.get("mode", "CONSTANT")).lower()
    widths = [given.wholes(pair, "paddings") for pair in pairs]
    if len(widths) != len(shape) + 1 or any(len(pair) != 2 for pair in widths):
        raise ReadError(f"paddings={pairs} must be a pair for each of {len(shape) + 1} axes")
    result = tuple(n + sum(pair) for n, pair in zip(shape, widths[1:]))
    args = (x, given.get("constant_values", 0)) if mode == "constant" else (x,)
    return _Operation(args, [result], {"mode": mode, "pad_width": widths})


def _tile(given: _Given, count: int) -> _Operation:
    x = given.tensor("input")
    shape, repeats = given.shape(x), given.wholes(given["multiples"], "multiples")
    if len(repeats) != len(shape) + 1:
        raise ReadError(f"multiples={repeats} must be one for each of {len(shape) + 1} axes")
    return _Operation((x,), [tuple(n * r for n, r in zip(shape, repeats[1:]))], {"repeats": repeats})


def _reverse(given: _Given, count: int) -> _Operation:
    x = given.tensor("tensor")
    return _Operation((x,), [given.shape(x)], {"axis": given.wholes(given["axis"], "axis")})


def _roll(given: _Given, count: int) -> _Operation:
    x = given.tensor("input")
    single = [
        value[0] if isinstance(value, list) and len(value) == 1 else value for value in (given["shift"], given["axis"])
    ]
    config = {key: given.whole(value, key) for key, value in zip(("shift", "axis"), single)}
    return _Operation((x,), [given.shape(x)], config)


def _sliced(given: _Given, count: int) -> _Operation:
    x, spec = given.tensor("tensor"), given["slice_spec"]
    shape = given.shape(x)
    keys = [_key(given, item) for item in (spec if isinstance(spec, list) else [spec])]
    # numpy knows what a tensor of one sample becomes; the reader refuses what reaches across the batch.
    try:
        result = np.empty((1, *shape), bool)[
            tuple(slice(None) if i == 0 and k == slice(None) else k for i, k in enumerate(keys))
        ]
    except IndexError:
        raise ReadError(f"it is indexed with {spec!r}, beyond a tensor of {len(shape) + 1} axes") from None
    return _Operation((x, tuple(keys)), [result.shape[1:]])


def _key(given: _Given, item: Any) -> Any:
    if isinstance(item, Mapping) and {"start", "stop", "step"} == set(item):
        return slice(*(None if item[k] is None else given.whole(item[k], k) for k in ("start", "stop", "step")))
    if isinstance(item, Mapping) and item.get("class_name") == "__ellipsis__":
        return Ellipsis
    return None if item is None else given.whole(item, "index")


@dataclass(frozen=True)
class _Entry:
    """How a function of TensorFlow is read: as which operation, by which names of its arguments, and how."""

    path: str
    signature: str
    build: _Build


def _elementwise() -> dict[str, _Entry]:
    """Functions of one tensor that are a table, a straight piece, or nothing at all."""
    same = {
        "nn.relu": "Relu",
        "nn.relu6": "Relu6",
        "math.negative": "Negative",
        "math.abs": "Absolute",
        "math.square": "Square",
        "identity": "Copy",
        "stop_gradient": "StopGradient",
    }
    tables = {
        "math.sigmoid": "Sigmoid",
        "math.tanh": "Tanh",
        "math.softplus": "Softplus",
        "nn.softplus": "Softplus",
        "nn.softsign": "Softsign",
        "nn.elu": "Elu",
        "nn.selu": "Selu",
        "nn.silu": "Silu",
        **{
            f"math.{name.lower()}": name
            for name in ("Exp", "Expm1", "Log", "Log1p", "Sqrt", "Rsqrt", "Sin", "Cos", "Erf")
        },
        **{f"math.{name.lower()}": name for name in ("Sinh", "Cosh", "Sign", "Floor", "Ceil", "Round", "Reciprocal")},
    }
    found = {name: _Entry(f"keras.ops.{op}", "x", _unary) for name, op in same.items()}
    for name, op in tables.items():
        config = {"alpha": 1.0} if op == "Elu" else {}
        found[name] = _Entry(f"keras.ops.{op}", "x", partial(_unary, name=op.lower(), config=config))
    return found


_REDUCTIONS = {"reduce_sum": "Sum", "reduce_mean": "Mean", "reduce_max": "Max", "reduce_min": "Min"}
_BINARIES = {
    **dict.fromkeys(("__operators__.add", "math.add"), "Add"),
    **{f"math.{name}": name.capitalize() for name in ("subtract", "multiply", "maximum", "minimum")},
}

#: By the name that a config has.
OPERATIONS: Mapping[str, _Entry] = {
    **_elementwise(),
    **{name: _Entry(f"keras.ops.{op}", "x y", _binary) for name, op in _BINARIES.items()},
    **dict.fromkeys(
        ("math.truediv", "math.divide", "realdiv"),
        _Entry("keras.ops.TrueDivide", "x y", partial(_binary, power=np.divide)),
    ),
    "math.pow": _Entry("keras.ops.Power", "x y", partial(_binary, power=np.power)),
    **dict.fromkeys(
        ("math.floordiv", "compat.v1.floor_div"),
        _Entry("keras.ops.FloorDivide", "x y", partial(_binary, power=np.floor_divide)),
    ),
    "math.add_n": _Entry("keras.ops.Add", "inputs", _sum_of_tensors),
    "nn.bias_add": _Entry("keras.ops.Add", "value bias data_format", _bias),
    "linalg.matmul": _Entry(
        "keras.ops.Matmul",
        "a b transpose_a transpose_b adjoint_a adjoint_b a_is_sparse b_is_sparse output_type",
        _matmul,
    ),
    **{f"math.{name}": _Entry(f"keras.ops.{op}", "x axis keepdims", _reduced) for name, op in _REDUCTIONS.items()},
    "nn.leaky_relu": _Entry("keras.ops.LeakyRelu", "x alpha", _leaky),
    "nn.gelu": _Entry("keras.ops.Gelu", "x approximate", _gelu),
    "nn.softmax": _Entry("keras.ops.Softmax", "x axis", _with_axis),
    "nn.log_softmax": _Entry("keras.ops.LogSoftmax", "x axis", _with_axis),
    "clip_by_value": _Entry("keras.ops.Clip", "x clip_value_min clip_value_max", _clip),
    "cast": _Entry("keras.ops.Cast", "x dtype", _cast),
    "reshape": _Entry("keras.ops.Reshape", "tensor shape", _reshape),
    "expand_dims": _Entry("keras.ops.ExpandDims", "input axis", _expand),
    **dict.fromkeys(("squeeze", "compat.v1.squeeze"), _Entry("keras.ops.Squeeze", "input axis squeeze_dims", _squeeze)),
    **dict.fromkeys(
        ("transpose", "compat.v1.transpose"), _Entry("keras.ops.Transpose", "a perm conjugate", _transpose)
    ),
    "concat": _Entry("keras.ops.Concatenate", "values axis", _joined),
    "stack": _Entry("keras.ops.Stack", "values axis", _stack),
    "split": _Entry("keras.ops.Split", "value num_or_size_splits axis num", _split),
    "unstack": _Entry("keras.ops.Unstack", "value num axis", _unstack),
    **dict.fromkeys(("pad", "compat.v1.pad"), _Entry("keras.ops.Pad", "tensor paddings mode constant_values", _pad)),
    "tile": _Entry("keras.ops.Tile", "input multiples", _tile),
    "reverse": _Entry("keras.ops.Flip", "tensor axis", _reverse),
    "roll": _Entry("keras.ops.Roll", "input shift axis", _roll),
    "__operators__.getitem": _Entry("keras.ops.GetItem", "tensor slice_spec", _sliced),
}
#: Names that TensorFlow gave the first argument of a function of one tensor, over the years.
_FIRST = frozenset({"x", "features", "logits", "input", "input_tensor", "t", "value"})


def operation_path(function: str) -> str:
    """Return the path under which readers know a function of TensorFlow; its own, if none does."""
    return OPERATIONS[function].path if function in OPERATIONS else f"tf.{function}"


class SavedOperationView(OperationView):
    """One call of an operation of TensorFlow.

    Parameters
    ----------
    function : str
        Its name in the config.
    name : str
        The layer's name in the whole model.
    operands : Operands
    shapes : tuple of tuples of int
        Shape of one sample of each of its tensors.
    count : int
        How many of its results are used: the first ones.

    Raises
    ------
    ReadError
        If it isn't one of a sample, or is called with what can't be read.
    """

    def __init__(self, function: str, name: str, operands: Operands, shapes: tuple[Shape, ...], count: int):
        entry = OPERATIONS[function]
        found = entry.build(_Given(_bound(entry.signature, operands), shapes), count)
        self.name, self.path, self.shapes = name, found.path or entry.path, shapes
        self.config, self.results = found.config, tuple(found.results)
        self._args, self._function = found.args, found.function

    def arguments(self, inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        return [_filled(value, inputs) for value in self._args], {}

    def weight(self, name: str) -> Constant | None:
        return None

    def function(self, argument: str | None) -> Callable[[FloatArray], FloatArray]:
        if argument is not None or self._function is None:
            raise ReadError("its function isn't known")
        return self._function

    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        raise ReadError(f"it has no {name}")

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        return (None,) * count

    def output_formats(self) -> Formats | None:
        return None

    @property
    def understood(self) -> frozenset[str]:
        return frozenset()


def _bound(signature: str, operands: Operands) -> dict[str, Any]:
    """A call's arguments by the names that they have here."""
    names = signature.split()
    if len(operands.args) > len(names):
        raise ReadError(f"it is called with {len(operands.args)} arguments, which no reader takes account of")
    found = dict(zip(names, operands.args))
    for key, value in operands.kwargs.items():
        name = names[0] if key in _FIRST and names[0] in _FIRST and names[0] not in found else key
        if name in found or (name not in names and name != "name" and value is not None):
            raise ReadError(f"it is called with {key}={_said(value)}, which no reader takes account of")
        if name in names:
            found[name] = value
    return found
