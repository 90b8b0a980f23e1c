"""Runtimes to compare with, one file each. They are imported only when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from fullint.bench.peers.onnx_runtime import ONNX_RUNTIME_PEERS
from fullint.bench.peers.openvino import OPENVINO_PEERS
from fullint.bench.peers.peer import Peer, PeerTask, PeerUnavailableError
from fullint.bench.peers.pytorch import TORCH_PEERS
from fullint.bench.peers.torchao import TORCHAO_PEERS
from fullint.errors import FullintError

PEERS: dict[str, Peer] = {
    peer.name: peer for peer in (*OPENVINO_PEERS, *ONNX_RUNTIME_PEERS, *TORCH_PEERS, *TORCHAO_PEERS)
}

__all__ = ["PEERS", "Peer", "PeerTask", "PeerUnavailableError", "find_peers"]


def find_peers(names: Sequence[str]) -> list[Peer]:
    """Peers by name or pattern, as `openvino-*`."""
    found: list[Peer] = []
    for name in names:
        matching = [peer for peer in PEERS.values() if fnmatch(peer.name, name)]
        if not matching:
            raise FullintError(f"no peer is called '{name}'; there are {', '.join(PEERS)}")
        found += [peer for peer in matching if peer not in found]
    return found
