"""Einsum equations: what they mean, which are refused, and einsums of variables."""

import numpy as np
import pytest

from keras_hls.fixed import Fixed
from keras_hls.frontends.view import Builder, ReadError
from keras_hls.graph import Input
from keras_hls.layers_ext.einsum import Equation, einsum
from keras_hls.sim.emulator import Emulator


@pytest.mark.parametrize(
    ("text", "ranks", "inputs", "output"),
    [
        ("ab,bc->ac", (2, 2), ("ab", "bc"), "ac"),
        (" a b , bc -> ac ", (2, 2), ("ab", "bc"), "ac"),
        ("ab,bc", (2, 2), ("ab", "bc"), "ac"),
        ("ba", (2,), ("ba",), "ab"),
        ("ab->", (2,), ("ab",), ""),
    ],
)
def test_equations(text, ranks, inputs, output):
    equation = Equation.parse(text, ranks)
    assert equation.inputs == tuple(map(tuple, inputs))
    assert equation.output == tuple(output)


def test_what_is_under_an_ellipsis_is_counted_from_its_end():
    equation = Equation.parse("...a,...ab->...b", (4, 3))
    assert equation.inputs == (("..3", "..2", "..1", "a"), ("..1", "a", "b"))
    assert equation.output == ("..3", "..2", "..1", "b")
    assert Equation.parse("a...,a", (3, 1)).output == ("..2", "..1")
    # Not in alphabetical order, where ten axes or more are hidden.
    assert Equation.parse("...->...", (11,)).output[:3] == ("..11", "..10", "..9")


@pytest.mark.parametrize(
    ("text", "ranks", "message"),
    [
        ("ab,bc->ac", (2,), "equation 'ab,bc->ac' isn't one for 1 tensors"),
        ("a-b->c", (1,), "equation 'a-b->c' isn't one for 1 tensors"),
        ("ab->a->b", (2,), "equation 'ab->a->b' isn't one for 1 tensors"),
        ("a..b->ab", (3,), "equation 'a..b->ab' isn't one for 1 tensors"),
        ("ab->a", (3,), "equation 'ab->a' has 'ab' for a tensor of 3 axes, its batch among them"),
        ("abc...->a", (2,), "equation 'abc...->a' has 'abc...' for a tensor of 2 axes, its batch among them"),
        ("abb->a", (3,), r"equation 'abb->a' takes a diagonal \('abb'\), which no op does"),
        ("ab->abb", (2,), "equation 'ab->abb' has an output, 'abb', that doesn't take each axis from the tensors once"),
        ("ab->ac", (2,), "equation 'ab->ac' has an output, 'ac', that doesn't take each axis from the tensors once"),
    ],
)
def test_equations_that_make_no_sense_are_refused(text, ranks, message):
    with pytest.raises(ReadError, match=f"^{message}$"):
        Equation.parse(text, ranks)


@pytest.mark.parametrize("text", ["ab,ac->bc", "ab,ba->ab", "ab,cb->ac", "ab,ac->ba", "ab,abc->", "ab,ac->abc"])
def test_the_batch_must_come_first(text):
    equation = Equation.parse(text, [len(term) for term in text.split("->")[0].split(",")])
    if text == "ab,ac->abc":
        assert equation.without_batch(text) == Equation((("b",), ("c",)), ("b", "c"))
        return
    with pytest.raises(ReadError, match="must have the batch as the first axis of every tensor and of the output"):
        equation.without_batch(text)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,kj->ki", [(2, 3), (4, 3)]),
        ("gij,gjk->kgi", [(2, 3, 4), (2, 4, 2)]),
        ("ij,ij->", [(2, 3), (2, 3)]),
        ("i,j->ji", [(2,), (3,)]),
        ("ij,ij->ij", [(2, 3), (2, 3)]),
        ("ijk,jl->l", [(2, 3, 4), (3, 2)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
        ("i,i,i->i", [(3,), (3,), (3,)]),
        ("ij,j,jk,k->i", [(2, 3), (3,), (3, 2), (2,)]),
        ("ijk->ki", [(2, 3, 4)]),
        ("i->", [(3,)]),
        ("...i,...i->...", [(2, 3, 4), (3, 4)]),
        ("...i,ij->...j", [(2, 3, 4), (4, 2)]),
        ("...i,...i->...", [(1, 3, 4), (2, 1, 4)]),
        ("ij,jk->ik", [(1, 1), (1, 3)]),
        ("i,i->i", [(1,), (1,)]),
        (",i->i", [(), (3,)]),
    ],
)
def test_einsums_of_variables(text, shapes):
    rng = np.random.default_rng(0)
    fixed, build = Fixed(True, 4, 4), Builder()
    refs = [build.add(Input(shape, None, fixed), name=f"x{i}") for i, shape in enumerate(shapes)]
    y = einsum(build, Equation.parse(text, list(map(len, shapes))), refs, shapes, name="y", layer="y")
    graph = build.graph([y], ["y"])
    raws = [rng.integers(-8, 8, (5, *shape)) for shape in shapes]
    (found,) = Emulator(graph).run(raws)
    wanted = np.stack([np.einsum(text, *sample) for sample in zip(*raws)])
    assert found.shape == wanted.shape
    assert np.array_equal(found, wanted)


def test_axes_of_one_label_must_agree():
    build = Builder()
    refs = [build.add(Input((n,), None, Fixed(True, 4, 4)), name=f"x{n}") for n in (3, 4)]
    with pytest.raises(ReadError, match=r"^axes of one label, 'i', have 3 and 4 elements$"):
        einsum(build, Equation.parse("i,i->i", (1, 1)), refs, [(3,), (4,)], name="y", layer="y")
