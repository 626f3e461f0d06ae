"""The network: a timm body and a small head, in plain torch layers; training and prediction build the same one."""
from collections.abc import Sequence
from typing import Literal, get_args

from torch import nn

from . import mean_positions, output_head, timm_body
from .point_maps import BodyWithMaps, find_scales

# What the head gets beside the pooled features: nothing; the mean positions of maps of the last features; or a map for
# each point, of the features of all scales.
HeadKind = Literal["pooled", "positions", "maps"]
HEAD_KINDS = get_args(HeadKind)


def network(arch: str, size: tuple[int, int], n_out: int, arch_args: dict | None = None,
            kind: HeadKind = "pooled", forms: Sequence[str] = ()) -> nn.Sequential:
    """Build the network with random weights.

    Args:
        arch: Name of a timm model.
        size: Height and width of the images in pixels.
        n_out: Number of outputs.
        arch_args: Further keywords for `timm.create_model`.
        kind: What the head gets.
        forms: As for `output_head.build`.

    Returns:
        [B, 3, *size] -> [B, n_out]; item 0 is the body, item 1 the head.

    Raises:
        ValueError: The backbone has no features for such maps.
    """
    body = extend_body(timm_body.build(arch, size, arch_args), size, kind, forms)
    return nn.Sequential(body, output_head.build(head_features(body), n_out, forms=forms))


def choose_kind(body: nn.Module, size: tuple[int, int], n_points: int, has_lines: bool) -> HeadKind:
    """Choose what the head of a new network gets.

    Args:
        body: timm model without its classifier.
        size: Height and width of the images in pixels.
        n_points: How many points are predicted.
        has_lines: Whether numbers are learnt as histograms on a line.
    """
    if n_points:
        return "maps" if find_scales(body, size) else "pooled"
    return "positions" if has_lines else "pooled"


def extend_body(body: nn.Module, size: tuple[int, int], kind: HeadKind, forms: Sequence[str]) -> nn.Module:
    """Return a timm body with what the head gets beside pooled features; arguments as for `network`."""
    if kind not in HEAD_KINDS:
        raise ValueError(f"a head of the kind {kind!r}")
    if ("position" in forms) != (kind == "maps"):
        raise ValueError(f"a head of the kind {kind} for {forms}")
    if kind == "maps":
        others = mean_positions.N_MAPS if set(forms) != {"position"} else 0
        return BodyWithMaps(body, size, list(forms).count("position") // 2, others)
    return mean_positions.add_positions(body, size) if kind == "positions" else body


def head_features(body: nn.Module) -> int | output_head.MapFeatures:
    """What a head is built for: the number of features of a body, or how many there are of each kind."""
    return body.features if isinstance(body, BodyWithMaps) else timm_body.n_features(body)


def map_grid(body: nn.Module) -> tuple[int, int] | None:
    """Height and width of the maps of points; None if a body has none."""
    return body.grid if isinstance(body, BodyWithMaps) else None


def kind_of(body: nn.Module) -> HeadKind:
    """What the head of a network gets beside the pooled features of its body."""
    if isinstance(body, BodyWithMaps):
        return "maps"
    return "positions" if isinstance(body, mean_positions.BodyWithPositions) else "pooled"
