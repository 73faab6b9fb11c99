"""Errors as sentences that a page can show."""

from __future__ import annotations


def as_sentence(error: BaseException) -> str:
    """The error's text on one line, with a capital and a full stop."""
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return "There is not enough memory for this: make it shorter or smaller."
    text = " ".join(str(error).split()) or type(error).__name__
    text = text[:1].upper() + text[1:] if text[0].isascii() else text  # σ is not Σ
    return text if text.endswith((".", "!", "?")) else f"{text}."
