"""Values that others have published for the models and corpora of this project.

They lie in ``published.csv`` beside this file, one row per value, for whoever has a publication in
hand to correct. Numbers of different measures, classes or partitions are different quantities:
``of_evaluation`` gives those of one evaluation.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import ConfigDict, Field, model_validator

from sercue.errors import InputError
from sercue.options import Options, checked

FILE = Path(__file__).with_name("published.csv")
#: What ``partition`` says where every utterance of the corpus is evaluated, as in folds.
WHOLE = "all"
SECOND_HAND = "second-hand"
Measure = Literal["uar", "macro_f1", "uar_difference", "spearman_rho"]
_Text = Annotated[str, Field(min_length=1)]


class PublishedValue(Options):
    """A row of ``published.csv``; an empty cell is not known.

    Attributes:
        model: name of the model's card, or another name of a model that has none
        corpus: name of the corpus reader
        classes: number of classes
        partition: which utterances were evaluated: a partition, or ``all`` of the corpus
        condition: name of the condition; of a rank correlation, the family of its doses
        reference: of a difference, the condition that is subtracted
        measure: ``uar``, ``macro_f1``, ``uar_difference`` (condition − reference) or
            ``spearman_rho`` (of UAR with the dose)
        value: 0 to 1, or -1 to 1 of a difference and a correlation; empty if only ``p`` is known
        low: lower end of its interval
        high: upper end of its interval
        p: as published, such as ``< 1e-4``
        source: the publication
        known: how the value is known: ``full text``, ``abstract``, or ``second-hand`` with what
            it was read in
        note: what a reader of the value must know besides
    """

    # A cell of a CSV file is a text: that of a number is read as one.
    model_config = ConfigDict(strict=False)

    model: _Text
    corpus: _Text
    classes: int | None = Field(None, ge=2)
    partition: Literal["train", "dev", "test", "all"] | None = None
    condition: _Text
    reference: _Text | None = None
    measure: Measure
    value: float | None = Field(None, ge=-1, le=1)
    low: float | None = Field(None, ge=-1, le=1)
    high: float | None = Field(None, ge=-1, le=1)
    p: str = ""
    source: _Text
    known: str = Field(pattern=r"^(full text|abstract|second-hand)\b")
    note: str = ""

    @model_validator(mode="after")
    def _is_what_its_measure_says(self) -> PublishedValue:
        if (self.reference is not None) != (self.measure == "uar_difference"):
            raise ValueError(
                f"reference: found {self.reference!r} with the measure {self.measure}; valid is "
                "one with uar_difference, and none with any other"
            )
        if self.value is None and not self.p:
            raise ValueError("value: found nothing, valid is a number where there is no p")
        if self.measure in ("uar", "macro_f1") and (self.value is None or self.value < 0):
            raise ValueError(f"value: found {self.value}, valid are 0 to 1 with {self.measure}")
        return self


def published_values(file: Path = FILE) -> pd.DataFrame:
    """All published values.

    Args:
        file: the CSV file to read

    Returns:
        DataFrame, one row per value, with the columns that ``PublishedValue`` describes; texts
        that are not known are empty, numbers are NaN

    Raises:
        InputError: naming file, line and column, if a cell is not valid or a value stands twice

    Examples:
        >>> table = published_values()
        >>> chosen = table.query("model == 'audio-flamingo-3' and measure == 'uar'")
        >>> chosen[chosen["corpus"] == "iemocap"].set_index("condition")["value"].to_dict()
        {'none': 0.754, 'aligned': 0.776, 'conflicting': 0.758}
    """
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            reader = csv.DictReader(opened)
            # Of a line with too many cells, the rest have no name.
            cells = [(reader.line_num, {str(key): cell for key, cell in row.items() if cell})
                     for row in reader]  # fmt: skip
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read as published values: {error}") from None
    values = [
        checked(PublishedValue, row, "column", f"{file}, line {line}").model_dump()
        for line, row in cells
    ]
    table = pd.DataFrame(values, columns=list(PublishedValue.model_fields))
    table["classes"] = table["classes"].astype("Int64")
    numbers, texts = ["value", "low", "high"], ["partition", "reference"]
    table = table.astype(dict.fromkeys(numbers, float)).fillna(dict.fromkeys(texts, ""))
    what = ["model", "corpus", "classes", "partition", "condition", "reference", "measure"]
    twice = table.duplicated([*what, "source"])
    if twice.any():
        raise InputError(
            f"{file}, line {cells[int(twice.argmax())][0]}: the same value of the same source "
            "stands above; valid is one row per value"
        )
    return table


def of_evaluation(
    values: pd.DataFrame, corpus: str, classes: int, partition: str, *, unknown: bool = False
) -> pd.DataFrame:
    """The values of one evaluation: a corpus in so many classes, and which of it was evaluated.

    Args:
        values: as ``published_values`` returns them
        corpus: name of the corpus reader
        classes: number of classes
        partition: the evaluated partition, or ``all``
        unknown: whether to return those, too, whose classes or partition are not known

    Examples:
        >>> table = of_evaluation(published_values(), "fau_aibo", 5, "dev")
        >>> len(table), table["partition"].unique().tolist()
        (10, ['dev'])
        >>> len(of_evaluation(published_values(), "fau_aibo", 2, "dev"))
        0
    """
    same = (values["classes"] == classes).fillna(unknown).astype(bool)
    there = values["partition"].isin([partition, *([""] if unknown else [])])
    return values[(values["corpus"] == corpus) & same & there]
