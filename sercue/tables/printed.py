"""Numbers and column names as a paper prints them."""

from __future__ import annotations

import re

import pandas as pd

from sercue.notation import MISSING, Form

# What tables call things where the name in a file says it in code. Labels of a corpus are columns,
# too, and stay as they are: only these names are put into words.
_WORDS = {
    "cliffs_delta": "Cliff's δ",
    "uar": "UAR", "uar_reference": "UAR of reference", "macro_f1": "macro F1",
    "share_reference": "share of reference",
    "holm_p": "p (corrected)", "decided_by": "test", "permutation_p": "p (sign flips)",
    "page_p": "p (Page)",
    "mcnemar_p": "p (McNemar)", "independent_p": "p (independent)",
    "independent_holm_p": "p (independent, Holm)", "accuracy_difference": "difference in accuracy",
    "spearman_rho": "Spearman's ρ", "spearman_p": "p (ρ)", "spearman_exact_p": "p (ρ, exact)",
    "shift_p": "p", "equivalence_p": "p (TOST)",
    "equivalence_holm_p": "p (TOST, corrected)", "collapse_p": "p",
    "discordant_better": "only condition right", "discordant_worse": "only reference right",
    "odds_ratio": "odds ratio", "falls_throughout": "falls at every step",
    "no_collapse": "collapse ruled out", "commonest": "most frequent",
    "commonest_share": "share of most frequent",
    "invalid_rate": "invalid", "flip_none": "changed (none)",
    "flip_aligned": "changed (aligned)",
    "kappa_none": "κ (none)", "kappa_aligned": "κ (aligned)", "most_gained": "most gained",
    "most_lost": "most lost", "w_audio": "weight of audio",
    "w_cue": "weight of tokens", "label_order": "label order", "follow_ratio": "follow ratio",
    "minus_none": "minus none", "minus_aligned": "minus aligned",
    "brier": "Brier score", "log_loss": "log loss", "ece": "ECE", "auroc": "AUROC",
    "heard": "audio", "floored": "probabilities below 1e-12",
    "right_before": "right before", "right_after": "right after",
    "detectable_holm": "MDE", "label_mass": "mass of labels", "by_chance": "by chance",
}  # fmt: skip
# What can exceed 1, so that it keeps the zero before the point, however small its values are.
_UNBOUNDED = {
    "g", "bias", "sd", "df", "minutes", "seconds", "information", "information_plugin",
    "joint_information", "odds_ratio", "brier", "log_loss", "w_audio", "w_cue",
}  # fmt: skip
# What is printed with its sign, since zero is no difference.
_DIFFERENCES = {
    "difference", "accuracy_difference", "slope", "effect", "shapley", "gain", "loss",
    "against_first", "overconfidence", "minus_none", "minus_aligned",
}  # fmt: skip
# What tables say in code: which test of ``compare`` was corrected.
_VALUES = {"decided_by": {"flips": "sign flips", "t": "t test"}}
_ENDS = ["low", "high"]
_NUMBER = re.compile(
    r"([<>=±+−-]?\s?[\d.,]+(\s?%)?(\s?[±(]\s?[\d.,]+\)?)?)|([+−-]?[\d.]+ \[[^\[\]]+\])"
)


def rounded(data: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """A table as a paper prints it.

    Numbers have so many decimals, p-values are not given below .001, a number that is followed by
    the ends of its interval is printed with them, true and false are yes and no, a row of a
    ``condition`` and its ``reference`` is a contrast, and known names of columns are put into
    words. What is text already stays as it is.

    No zero stands before the point in a column whose values, and ends of intervals, all lie between
    -1 and 1, unless its name is that of a quantity that can exceed 1, such as ``g``, ``bias``,
    ``information`` or ``odds_ratio``. Differences have a sign.

    Args:
        data: the numbers. An interval is a column ``x`` followed by ``low`` and ``high``, or by
            ``x_low`` and ``x_high``.
        digits: number of decimals

    Examples:
        >>> rounded(pd.DataFrame({"uar": [0.77649], "holm_p": [0.0001], "n": [5]})).values.tolist()
        [['.776', '< .001', 5]]
        >>> rounded(pd.DataFrame({"uar": [0.5], "low": [0.41], "high": [0.6]})).to_dict("list")
        {'UAR': ['.500 [.410, .600]']}
        >>> rounded(pd.DataFrame({"g": [0.5], "difference": [-0.1]})).values.tolist()
        [['0.500', '−.100']]
        >>> pair = pd.MultiIndex.from_tuples([("aligned", "none")])
        >>> pair = pair.set_names(["condition", "reference"])
        >>> rounded(pd.DataFrame({"equivalent": [True]}, index=pair)).to_dict("index")
        {'aligned − none': {'equivalent': 'yes'}}
    """
    printed = data.copy()
    if list(data.index.names) == ["condition", "reference"]:
        pairs = [f"{condition} − {reference}" for condition, reference in data.index]
        printed.index = pd.Index(pairs, name="contrast")
    ends: list[str] = []
    listed = list(map(str, data.columns))
    for name in data.columns:
        if name in ends:
            continue
        place = listed.index(str(name))
        following = listed[place + 1 : place + 3]
        valid = (_ENDS, [f"{name}_{end}" for end in _ENDS])
        found = following if following in valid and name not in _ENDS else []
        if pd.api.types.is_bool_dtype(data[name]):
            printed[name] = printed[name].map({True: "yes", False: "no"})
        elif found or pd.api.types.is_float_dtype(data[name]):
            code = str(name).replace(" ", "_")
            numbers = data[[name, *found]].astype(float)
            form = Form(
                digits,
                zero=code in _UNBOUNDED or bool((numbers.abs() > 1).any(axis=None)),
                sign=code in _DIFFERENCES,
            )
            show = form.of_p if _is_p(str(name)) else form.of
            printed[name] = [show(*row) for row in numbers.itertuples(index=False)]
            ends += found
    return worded(printed.drop(columns=ends).replace(_VALUES))


def worded(data: pd.DataFrame) -> pd.DataFrame:
    """A table whose known column names, and those of its index, are in words.

    Examples:
        >>> worded(pd.DataFrame({"macro_f1": [0.5], "my_label": [1]})).columns.tolist()
        ['macro F1', 'my_label']
    """
    renamed = data.rename(columns=_WORDS)
    names = [_WORDS.get(str(name), name) for name in data.index.names]
    return renamed.set_axis(data.index.set_names(names))


def is_number(text: str) -> bool:
    """Whether a cell is a number as tables print it, with what belongs to it, or none at all.

    Examples:
        >>> [is_number(text) for text in ("< .001", ".72 ± .04", ".5 [.4, .6]", "–", "mid")]
        [True, True, True, True, False]
    """
    return text in ("", MISSING, "∞", "−∞") or _NUMBER.fullmatch(text) is not None


def _is_p(name: str) -> bool:
    return name.split()[-1] in ("p", "q") or name.endswith("_p") or name.startswith("p (")
