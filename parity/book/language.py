"""The language that chapters are told in: English, which the code has, or one with a catalogue of the same texts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, get_args

from parity.book.korean import TEXTS

Language = Literal["en", "ko"]
LANGUAGES = get_args(Language)
# By language, each text that chapters say, as the code has it in English.
CATALOGUES: Mapping[Language, Mapping[str, str]] = {"en": {}, "ko": TEXTS}
CURRENT: ContextVar[Language] = ContextVar("language", default="en")


@contextmanager
def told_in(language: Language) -> Iterator[None]:
    """Have what is said in the block said in this language."""
    before = CURRENT.set(language)
    try:
        yield
    finally:
        CURRENT.reset(before)


def language() -> Language:
    """The one that is said at present."""
    return CURRENT.get()


def say(text: str, **values: Any) -> str:
    """A text in the current language, with `values` where it has them in braces.

    `text` is in English, written out where this is called, so that a test finds all that are to be translated.
    """
    return CATALOGUES[CURRENT.get()].get(text, text).format(**values)
