"""The one exception for mistakes that a user can correct, and the wording of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

_LONGEST = 500  # characters: some libraries quote pages
_LONGEST_SENTENCE = 2000  # of ours, which quote paths and names


class MtpanoError(Exception):
    """Something the user gave or the machine lacks.

    The message is one sentence a person can act on: the value, what was expected, what to do.
    Commands print it without a traceback and exit with status 1; the node answers FAILURE with it.
    """


def one_line(error: BaseException) -> str:
    """What to say of an error: a MtpanoError's own sentence, else its class and its text."""
    if isinstance(error, MtpanoError):
        return printable(str(error))
    text = on_one_line(str(error))
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def on_one_line(text: str) -> str:
    """A text of another program, for use within a sentence: without line breaks, and cut short."""
    return " ".join(text.split())[:_LONGEST]


def printable(text: str) -> str:
    """A sentence that quotes what others chose, as one line of no more than a page.

    Control characters are escaped, and what is too long lacks its middle.
    """
    if len(text) > _LONGEST_SENTENCE:
        text = f"{text[: _LONGEST_SENTENCE // 2]}...{text[-_LONGEST_SENTENCE // 2 :]}"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def nearest(wrong: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """The known word that `wrong`, in either case, may have been meant for; empty if none."""
    from difflib import get_close_matches  # takes longer to load than all else that --help needs

    words = {word.lower(): word for word in known}
    found = get_close_matches(wrong[:100].lower(), list(words), 1, likeness)
    return words[found[0]] if found else ""


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """ "did you mean 'lr'?" or the list of what there is."""
    known = list(known)
    near = nearest(wrong, known)
    return f"did you mean '{near}'?" if near else f"expected one of {', '.join(known)}"


@contextmanager
def writing(
    path: Path,
    advice: str = "check free space and permissions",
    others: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """A MtpanoError that ends with `advice` for what the disk refuses while `path` is written.

    others: what a library raises in such a case in place of an OSError.
    """
    refusals: tuple[type[Exception], ...] = (OSError, *others)
    try:
        yield
    except refusals as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise MtpanoError(f"{path} cannot be written ({reason}): {advice}") from error


def needed_module(name: str, what: str, advice: str = "") -> ModuleType:
    """The module `name` of an optional library; MtpanoError that `what` needs it."""
    library = name.partition(".")[0]
    try:
        return import_module(name)
    except ImportError as error:
        raise MtpanoError(
            f"{what} needs the library '{library}' ({error}): install it with "
            f"`pip install {library}`{advice}"
        ) from error
