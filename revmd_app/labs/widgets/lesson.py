"""The text below a lab's bench: what to look for, questions with folded answers, and the limits of the model."""

from __future__ import annotations

from collections.abc import Sequence

import panel as pn

from revmd_app.labs.widgets import look

ITEM = "<li style='margin:4px 0'>"
FOLD_CSS = f"""
details {{ margin: 3px 0 9px; }}
summary {{ cursor: pointer; color: {look.ACCENT}; width: fit-content; }}
summary:focus-visible {{ outline: 2px solid {look.VERMILLION}; outline-offset: 2px; }}
details > div {{ margin: 4px 0 0 2px; padding: 4px 10px; border-left: 3px solid {look.EDGE}; }}
"""


def lesson(
    look_for: Sequence[str],
    questions: Sequence[tuple[str, str]],
    limits: str | Sequence[str],
    more: pn.viewable.Viewable | None = None,
) -> pn.Column:
    """Three cards side by side, and `more` below them.

    `look_for` are things to do and to see, `questions` pairs of a question and its answer (folded), `limits` what the
    model cannot show. All are HTML.
    """
    cards = [
        _card("Try, and look for", listed(look_for)),
        _card("Questions", folded(questions)),
        _card("Limits of this model", limits if isinstance(limits, str) else listed(limits)),
    ]
    row = pn.Row(*cards, sizing_mode="stretch_width", margin=0, styles={"gap": "8px"})
    below = [] if more is None else [more]
    return pn.Column(row, *below, sizing_mode="stretch_width", margin=0, styles={"gap": "8px"})


def listed(items: Sequence[str]) -> str:
    """A list of points."""
    return "<ul style='margin:4px 0 6px;padding-left:20px'>" + "".join(f"{ITEM}{x}</li>" for x in items) + "</ul>"


def folded(questions: Sequence[tuple[str, str]]) -> str:
    """Numbered questions, each with an answer that opens when asked for."""
    asked = (
        f"{ITEM}{question}<details><summary>Answer</summary><div>{answer}</div></details></li>"
        for question, answer in questions
    )
    return f"<ol style='margin:4px 0 6px;padding-left:20px'>{''.join(asked)}</ol>"


def _card(title: str, markup: str) -> pn.Column:
    body = look.text(markup, margin=(0, 8), sizing_mode="stretch_width", stylesheets=[FOLD_CSS])
    return look.card(look.heading(title), body, sizing_mode="stretch_width")
