"""Where other libraries keep what they have compiled, beside our own engines."""

from __future__ import annotations

import logging
from pathlib import Path

from mtpano_model.inference.engines.cache import default_folder
from mtpano_model.whole_files import try_folder

log = logging.getLogger(__name__)


def kept_folder(library: str) -> Path | None:
    """`$XDG_CACHE_HOME/mtpano/LIBRARY`, made if it is missing; None, with a warning, where nothing
    can be written there.

    Libraries make the last folder of the path at most, and some refuse to start where they cannot.
    """
    folder = default_folder().with_name(library)
    try:
        try_folder(folder)
    except OSError as error:
        log.warning(
            "what %s compiles cannot be kept in %s (%s), so each start compiles again: free space "
            "there or set XDG_CACHE_HOME to a folder that can be written",
            library,
            folder,
            error.strerror,
        )
        return None
    return folder
