"""Which linear layers read a tensor's channels as they are."""

from __future__ import annotations

import torch.fx

from fullint.capture import normal_form


def linear_readers(node: torch.fx.Node) -> list[torch.fx.Node] | None:
    """The linear layers that read `node`, perhaps through layout operations; None if anything else
    reads it.
    """
    found: list[torch.fx.Node] = []
    for user in node.users:
        if user.target is normal_form.linear:
            found.append(user)
        elif keeps_channels(user) and (behind := linear_readers(user)) is not None:
            found.extend(behind)
        else:
            return None
    return found


def keeps_channels(node: torch.fx.Node) -> bool:
    """Whether a layout operation leaves the last axis whole and in place."""
    if not node.all_input_nodes:
        return False
    source = node.all_input_nodes[0]
    last = len(source.meta["shape"]) - 1
    match node.target:
        case normal_form.reshape:
            return bool(node.meta["shape"][-1] == source.meta["shape"][-1])
        case normal_form.permute:
            return bool(node.args[1][-1] == last)  # type: ignore[index]
        case normal_form.slice:
            return bool(node.args[1] != last)
        case normal_form.roll:
            return last not in node.args[2]  # type: ignore[operator]
    return False
