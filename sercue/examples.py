"""Prompts in full: what the model reads, with what a condition changed marked."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

import pandas as pd
from IPython.display import HTML

from sercue.prompts import Template, resolve_templates


def prompt_examples(
    plan: pd.DataFrame, templates: Sequence[str | Mapping[str, str] | Template]
) -> HTML:
    """One worked example a condition: the first utterance's whole prompt, in the first wording.

    Tokens that differ from the utterance's own are marked.

    Args:
        plan: as ``plan_study`` returns it
        templates: the templates of the study

    Returns:
        HTML to show in a notebook
    """
    template = resolve_templates(templates)[0]
    first = plan[
        (plan["utterance"] == plan["utterance"].iloc[0])
        & (plan["template"] == template.name)
        & (plan["label_order"] == 0)
        & (plan["replicate"] == 0)
    ]
    own = first.loc[first["condition"] == "aligned", "tokens"]
    truth = own.iloc[0].split(template.separator) if len(own) else []
    blocks = [
        _block(str(row["condition"]), _marked(row["text"], row["tokens"], truth, template))
        for _, row in first.iterrows()
    ]
    heading = f"<p>Utterance <code>{html.escape(str(first['utterance'].iloc[0]))}</code></p>"
    return HTML(heading + "".join(blocks))


def wording_examples(plan: pd.DataFrame) -> HTML:
    """The first utterance's prompt with aligned tokens in every template and label order."""
    first = plan[
        (plan["utterance"] == plan["utterance"].iloc[0]) & (plan["condition"] == "aligned")
    ]
    return HTML(
        "".join(
            _block(f"{row['template']}, label order {row['label_order']}", html.escape(row["text"]))
            for _, row in first.iterrows()
        )
    )


def _block(title: str, text: str) -> str:
    return f'<div class="prompt"><b>{html.escape(title)}</b><br>{text}</div>'


def _marked(text: str, tokens: str, truth: Sequence[str], template: Template) -> str:
    """The prompt as HTML; tokens that are not the utterance's own are marked."""
    if not tokens or not truth:
        return html.escape(text)
    before, shown, after = text.partition(tokens)
    items = [
        html.escape(item) if item == own else f"<mark>{html.escape(item)}</mark>"
        for item, own in zip(re.split(re.escape(template.separator), shown), truth, strict=True)
    ]
    return html.escape(before) + html.escape(template.separator).join(items) + html.escape(after)
