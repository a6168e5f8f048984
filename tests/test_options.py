"""Options of corpora and models: nothing is converted, and errors say what is valid."""

from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from sercue.corpora import CORPORA
from sercue.errors import InputError
from sercue.models.endpoint import EndpointOptions
from sercue.models.tiny_network import RECIPES, Recipe, TinyOptions, tiny_options
from sercue.options import Options, checked


class Example(Options):
    whole: int = Field(1, ge=1)
    share: float = 0.5
    truth: bool = False
    way: Literal["refuse", "windows"] = "refuse"
    hidden: str = Field("x", repr=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"whole": True}, "whole: found True; Input should be a valid integer"),
        ({"whole": "3"}, "whole: found '3'; Input should be a valid integer"),
        ({"whole": 3.0}, "whole: found 3.0; Input should be a valid integer"),
        ({"whole": np.int64(3)}, "whole: found np.int64(3); Input should be a valid integer"),
        ({"whole": 0}, "whole: found 0; Input should be greater than or equal to 1"),
        ({"share": True}, "share: found True; Input should be a valid number"),
        ({"share": float("nan")}, "share: found nan; Input should be a finite number"),
        ({"share": float("inf")}, "share: found inf; Input should be a finite number"),
        ({"truth": "no"}, "truth: found 'no'; Input should be a valid boolean"),
        ({"truth": 1}, "truth: found 1; Input should be a valid boolean"),
        (
            {"way": "window"},
            "way: found 'window'; did you mean 'windows'? Input should be 'refuse'",
        ),
        ({"way": ["refuse"]}, "way: found ['refuse']; Input should be 'refuse' or 'windows'"),
        ({"hidden": 1234}, "hidden: found a int; Input should be a valid string"),
        ({"hiden": 1}, "unknown option of it 'hiden': did you mean 'hidden'? Valid are: whole, "),
        ({3: 1}, "unknown option of it '3': Valid are: whole, "),
        ({"\ud800": 1}, "unknown option of it "),
    ],
)
def test_what_is_not_valid_is_named_with_what_is(values, message):
    with pytest.raises(InputError) as error:
        checked(Example, values, "option of it", "here")
    assert str(error.value).startswith(f"here: {message}")
    assert "1234" not in str(error.value)


def test_all_problems_are_told_a_line_each():
    with pytest.raises(InputError) as error:
        checked(Example, {"whole": 0, "truth": 1}, "option of it", "here")
    assert [line.split()[1] for line in str(error.value).splitlines()] == ["whole:", "truth:"]


def test_a_key_from_elsewhere_is_told_by_where_it_is_from():
    with pytest.raises(InputError, match="--set whole: found 0"):
        checked(Example, {"whole": 0}, "option of it", "here", {"whole": "--set whole"})


def test_own_options_are_listed_before_shared_ones():
    assert EndpointOptions.names()[0] == "base_url"
    assert EndpointOptions.names()[-1] == "long_audio"


@pytest.mark.parametrize("kind", [card.options for card in CORPORA.values()])
def test_every_option_is_described(kind):
    told = "".join(one.__doc__ or "" for one in kind.__mro__[:-2])
    assert all(f"        {name}: " in told for name in kind.names())


def test_what_a_recipe_is_made_of_stays_as_it_is_written():
    """Trained models are found by a hash of it: 1 may not become 1.0."""
    assert [repr(tiny_options({"noise": given}).noise) for given in (1, 1.0)] == ["1", "1.0"]


def test_a_recipe_gives_way_to_what_is_given_beside_it():
    mine = tiny_options({"recipe": "cue-bound", "prompts": 7})
    expected = dict(Recipe(**RECIPES["cue-bound"])) | {"prompts": 7}
    assert {name: getattr(mine, name) for name in Recipe.model_fields} == expected


def test_every_recipe_can_be_named():
    assert set(RECIPES) == set(TinyOptions.model_fields["recipe"].annotation.__args__)
    assert [tiny_options({"recipe": name}).recipe for name in RECIPES] == list(RECIPES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recipe": "cue-bund"}, "recipe: found 'cue-bund'; did you mean 'cue-bound'"),
        ({"recipe": []}, r"recipe: found \[\]; Input should be 'grounded'"),
        (
            {"share_none": 0.5, "recipe": "cue-bound"},
            "share_none . share_aligned: found 1.1, valid",
        ),
        ({"width": "64"}, "width: found '64'; Input should be a valid integer"),
        ({"recipie": 1}, "option of sercue-tiny 'recipie': did you mean 'recipe'"),
    ],
)
def test_options_of_the_small_model_are_checked_as_a_whole(values, message):
    with pytest.raises(InputError, match=f"^model_options: .*{message}"):
        tiny_options(values)
