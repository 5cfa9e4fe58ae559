"""PyAV, which decodes and encodes; it is optional."""

from __future__ import annotations

from typing import Any

from mtpano_model.errors import MtpanoError


def pyav(what: str) -> Any:
    """The module `av`; MtpanoError that `what` needs it."""
    try:
        import av
    except ImportError:
        raise MtpanoError(f"{what} needs PyAV: install it with `pip install av`") from None
    return av
