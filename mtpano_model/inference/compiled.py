"""numba's compiler as this project uses it. Import only where numba's absence is dealt with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Loop = TypeVar("Loop", bound=Callable[..., Any])

# Part of a compiled loop, compiled together with it. Division by zero is what it is in numpy.
part = numba.njit(nogil=True, error_model="numpy")


def compiled(signature: Any) -> Callable[[Loop], Loop]:
    """Machine code for arrays of these types; kept on disk, since compiling takes seconds."""

    def compile_loop(loop: Loop) -> Loop:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
        try:
            return numba.njit(signature, cache=True, **options)(loop)
        except RuntimeError:  # no folder to keep it in
            return numba.njit(signature, **options)(loop)

    return compile_loop
