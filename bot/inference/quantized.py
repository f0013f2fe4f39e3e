"""Weights in 8 bits: each row of a layer as integers with one scale, in half the memory of bfloat16.

Covers linear layers and the `Conv1D` layers of GPT-2 models, which most quantisers skip silently. Computes in bfloat16.
(int4 is not offered: torchao has no kernels for it on CPUs any more.)
"""

from typing import Any

import torch
from torch import nn

# Up to this many rows, the 8-bit kernel is faster than multiplying by weights converted to bfloat16.
_FEW_ROWS = 16


class Int8Linear(nn.Module):
    """`x @ weight.T * scale + bias`, with `weight` int8 [out, in] and `scale` bfloat16 [out]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Quantize `weight`, of any float type, [out, in]."""
        super().__init__()
        exact = weight.detach().float()
        scale = exact.abs().amax(dim=1).clamp(min=1e-12) / 127
        self.register_buffer("weight", (exact / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.to(torch.bfloat16))
        self.register_buffer("bias", None if bias is None else bias.detach().to(torch.bfloat16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight: Any = self.weight
        scale: Any = self.scale
        bias: Any = self.bias
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= _FEW_ROWS:
            result = torch._weight_int8pack_mm(rows, weight, scale)
        else:
            result = nn.functional.linear(rows, weight.to(rows.dtype)) * scale
        result = result if bias is None else result + bias
        return result.reshape(*x.shape[:-1], len(weight))


def quantize(model: Any) -> int:
    """Replace the layers of a bfloat16 model in place, except its output layer. Returns the number of layers replaced."""
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()
    count = 0
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if layer is output or not isinstance(layer, nn.Linear | Conv1D):
                continue
            weight = layer.weight.t() if isinstance(layer, Conv1D) else layer.weight
            setattr(parent, name, Int8Linear(weight.contiguous(), layer.bias))
            count += 1
    return count
