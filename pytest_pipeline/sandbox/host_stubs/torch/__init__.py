"""The sandbox's stand-in for PyTorch: what is recorded of a build and its GPUs, and matrix products computed for real.

It is copied into the environments of simulated hosts, with `facts.json` beside it and under the name `torch`. It
answers what the gate asks, in the words of PyTorch 2.5, and has nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from . import at_import, cuda
from .tensor import Tensor, bfloat16, float16, float32, tensor

__all__ = ["Tensor", "at_import", "backends", "bfloat16", "cuda", "float16", "float32", "tensor", "version"]

__simulated__ = True

_FACTS = json.loads(Path(__file__).with_name("facts.json").read_text(encoding="utf-8"))

cuda.record(_FACTS)
__version__: str = _FACTS["version"]
version = SimpleNamespace(__version__=__version__, cuda=_FACTS["cuda"], hip=None, debug=False)
backends = SimpleNamespace(cudnn=SimpleNamespace(version=lambda: 90100 if _FACTS["cuda"] else None))
