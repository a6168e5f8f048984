"""Conditions that take concepts out of the token block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercue.concepts import CONCEPTS
from sercue.interventions.condition import Condition
from sercue.interventions.material import Material
from sercue.interventions.replaced import check_columns

#: The names of the six concepts, in their order.
CONCEPT_NAMES = tuple(concept.name for concept in CONCEPTS)


def only(concepts: Sequence[str]) -> Condition:
    """The true tokens of some concepts; the prompt does not name the others.

    Args:
        concepts: names of concepts, in the order of the columns
    """
    chosen = list(concepts)

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        check_columns(material.tokens, chosen)
        return material.tokens[[name for name in material.tokens if name in chosen]]

    listed = " and ".join(chosen)
    return Condition(
        f"only({' + '.join(chosen)})",
        f"the true tokens of {listed} alone",
        change,
        family="only",
        concepts=tuple(chosen),
    )


def without(concepts: Sequence[str]) -> Condition:
    """The true tokens of all concepts but some, which the prompt does not name.

    Args:
        concepts: names of concepts, in the order of the columns
    """
    chosen = list(concepts)

    def change(material: Material, generator: np.random.Generator) -> pd.DataFrame:
        check_columns(material.tokens, chosen)
        return material.tokens.drop(columns=chosen)

    listed = " and ".join(chosen)
    return Condition(
        f"without({' + '.join(chosen)})",
        f"the true tokens but for {listed}",
        change,
        family="without",
        concepts=tuple(chosen),
    )
