"""Matrices in the floating point formats of training, rounded as hardware rounds them."""

from __future__ import annotations

import operator
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import cuda

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_F32 = struct.Struct("<f")
_F16 = struct.Struct("<e")
_BITS = struct.Struct("<I")
_LOW_HALF = 0xFFFF
_EXPONENT = 0x7F800000


def _to_float32(value: float) -> float:
    try:
        return float(_F32.unpack(_F32.pack(value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _to_float16(value: float) -> float:
    try:
        return float(_F16.unpack(_F16.pack(_to_float32(value)))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _to_bfloat16(value: float) -> float:
    """Keep the upper half of a float32, rounded to nearest, ties to even."""
    (bits,) = _BITS.unpack(_F32.pack(_to_float32(value)))
    if bits & _EXPONENT != _EXPONENT:  # infinities and NaN keep their upper half as it is
        bits += (_LOW_HALF >> 1) + ((bits >> 16) & 1)
    return float(_F32.unpack(_BITS.pack(bits & ~_LOW_HALF))[0])


@dataclass(frozen=True)
class Format:
    """A dtype: its name, what PyTorch's errors call it, and its rounding."""

    name: str
    called: str
    rounded: Callable[[float], float]

    def __repr__(self) -> str:
        return f"torch.{self.name}"


float32 = Format("float32", "float", _to_float32)
float16 = Format("float16", "c10::Half", _to_float16)
bfloat16 = Format("bfloat16", "c10::BFloat16", _to_bfloat16)


class Tensor:
    """A matrix. Products are summed in a wider format and rounded once, as by the units that trainings use."""

    def __init__(self, rows: list[list[float]], dtype: Format, device: str = "cpu") -> None:
        self.dtype = dtype
        self.device = device
        self._rows = rows

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns there are."""
        return len(self._rows), len(self._rows[0]) if self._rows else 0

    def to(self, where: str | Format) -> Tensor:
        """Return it on another device, or in another format."""
        if isinstance(where, Format):
            return Tensor([[where.rounded(x) for x in row] for row in self._rows], where, self.device)
        return Tensor(self._rows, self.dtype, cuda.named(where))

    def tolist(self) -> list[list[float]]:
        """Return its rows."""
        return [list(row) for row in self._rows]

    def __matmul__(self, other: Tensor) -> Tensor:
        if self.device != other.device:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{self.device} and {other.device}!"
            )
        if self.dtype is not other.dtype:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {self.dtype.called} != {other.dtype.called}"
            )
        (m, n), (k, p) = self.shape, other.shape
        if n != k:
            raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({m}x{n} and {k}x{p})")
        columns = list(zip(*other._rows, strict=True))
        rounded = self.dtype.rounded
        product = [[rounded(sum(map(operator.mul, row, column))) for column in columns] for row in self._rows]
        return Tensor(cuda.computed(product, self.device), self.dtype, self.device)


def tensor(rows: Sequence[Sequence[float]], *, dtype: Format = float32) -> Tensor:
    """Return a matrix of these rows, on the CPU."""
    return Tensor([[dtype.rounded(float(x)) for x in row] for row in rows], dtype)
