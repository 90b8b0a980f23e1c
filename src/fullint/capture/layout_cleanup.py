"""Remove needless reshapes and permutes from a graph, and take slices before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from fullint.capture import normal_form
from fullint.capture.layout_algebra import Layout, Step
from fullint.capture.shapes import insert, is_layout, reshape_argument, shape_of

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "reshape": normal_form.reshape,
    "permute": normal_form.permute,
}


def clean_layout(graph: fx.Graph) -> None:
    """Bring every chain of layout operations to its shortest form; the graph's results stay.

    Terminates: a slice or reshape taken earlier is nearer to the input, and every other change
    removes an operation.
    """
    changed = True
    while changed:
        changed = False
        for node in list(graph.nodes):
            for improve in (_slice_earlier, _reshape_earlier, _shorten):
                changed = (bool(node.users) and improve(graph, node)) or changed


def _shorten(graph: fx.Graph, end: fx.Node) -> bool:
    """Replace the chain that ends in `end` by a shorter one; False where there is none."""
    if not is_layout(end) or (len(end.users) == 1 and is_layout(next(iter(end.users)))):
        return False
    chain: list[fx.Node] = [end]
    freed, shared = 1, False
    best: tuple[int, fx.Node, list[Step]] | None = None
    while True:
        source = _source(chain[0])
        layout = _layout_of(source, chain)
        if layout is None:
            break
        steps = layout.steps()
        gain = freed - len(steps)
        if gain > 0 and (best is None or gain > best[0]):
            best = gain, source, steps
        if not is_layout(source):
            break
        shared = shared or len(source.users) > 1
        freed += not shared
        chain.insert(0, source)
    if best is None:
        return False
    _, source, steps = best
    _replace(graph, end, source, steps)
    return True


def _slice_earlier(graph: fx.Graph, end: fx.Node) -> bool:
    """Take a slice before the chain it follows (query, key and value out of the permuted qkv)."""
    if end.target is not normal_form.slice or not is_layout(end.args[0]):
        return False
    arguments: Any = end.args
    after, *bounds = arguments
    if any(user.target is not normal_form.slice for user in after.users):
        return False
    chain: list[fx.Node] = [after]
    source = _source(after)
    while is_layout(source) and len(source.users) == 1:
        chain.insert(0, source)
        source = _source(source)
    layout = _layout_of(source, chain)
    cut = layout.cut(*bounds) if layout is not None else None
    if layout is None or cut is None:
        return False
    with graph.inserting_before(end):
        part = insert(graph, normal_form.slice, (source, *cut), end.meta["module_path"])
    _replace(graph, end, part, layout.steps())
    return True


def _reshape_earlier(graph: fx.Graph, end: fx.Node) -> bool:
    """Take a reshape after a linear layer before it, where it then merges with another reshape.

    Patch embedding: the patches become a sequence of tokens before the linear layer, at no cost.
    """
    if end.target is not normal_form.reshape:
        return False
    layer, shape = _source(end), shape_of(end)
    if layer.target is not normal_form.linear or shape[-1] != shape_of(layer)[-1]:
        return False
    before = _source(layer)
    if before.target is not normal_form.reshape or len(layer.users) + len(before.users) > 2:
        return False
    rows = reshape_argument((*shape[:-1], shape_of(before)[-1]))
    with graph.inserting_before(layer):
        reshaped = insert(graph, normal_form.reshape, (before, rows), before.meta["module_path"])
    layer.update_arg(0, reshaped)
    layer.meta["probe_shape"] = shape
    end.replace_all_uses_with(layer)
    graph.erase_node(end)
    return True


def _source(node: fx.Node) -> fx.Node:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return source


def _layout_of(source: fx.Node, chain: list[fx.Node]) -> Layout | None:
    """The chain on `source` as one layout; None where it cannot be written so."""
    layout = Layout(shape_of(source))
    for node in chain:
        if node.target is normal_form.permute:
            layout.permute(node.args[1])  # type: ignore[arg-type]
        elif not layout.reshape(shape_of(node)):
            return None
    return layout


def _replace(graph: fx.Graph, end: fx.Node, source: fx.Node, steps: list[Step]) -> None:
    """Put `steps` on `source` in the place of `end`, and erase what nothing uses any more."""
    result = source
    with graph.inserting_before(end):
        for kind, argument in steps:
            argument = reshape_argument(argument) if kind == "reshape" else argument
            result = insert(graph, _FUNCTIONS[kind], (result, argument), end.meta["module_path"])
    end.replace_all_uses_with(result)
    while not end.users and end.target in (*_FUNCTIONS.values(), normal_form.slice):
        before = _source(end)
        graph.erase_node(end)
        end = before
