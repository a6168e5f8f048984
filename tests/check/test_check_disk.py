"""What a study writes must have a place, before it has computed what to write."""

import shutil

import pytest

from sercue.check.study import Need, told
from sercue.errors import InputError


def share_of_free(folder, share):
    return int(shutil.disk_usage(folder).free * share)


def test_too_little_is_an_error_with_numbers_and_a_way_out(tmp_path):
    """More than the disk under this test has, whichever it is."""
    need = Need(tmp_path / "run", {"answers": share_of_free(tmp_path, 3)}, "go elsewhere")
    with pytest.raises(InputError) as caught:
        told([need])
    message = str(caught.value)
    assert message.startswith("disk: the study needs about")
    assert "of answers" in message
    assert f"{tmp_path / 'run'} has" in message
    assert message.endswith("left; make place there, or go elsewhere")


def test_folders_on_one_disk_share_what_is_free(tmp_path):
    """Each alone would fit."""
    half = {"answers": share_of_free(tmp_path, 0.6)}
    with pytest.raises(InputError, match="go there or go here"):
        told([Need(tmp_path / "a", half, "go there"), Need(tmp_path / "b", half, "go here")])


@pytest.mark.parametrize(("share", "warned"), [(0.7, True), (0.3, False)])
def test_less_than_twice_what_is_needed_is_a_warning(tmp_path, share, warned):
    text = told([Need(tmp_path, {"answers": share_of_free(tmp_path, share)}, "go elsewhere")])
    assert text.startswith("warning: little is left: ") is warned


def test_what_takes_no_place_is_not_told(tmp_path):
    assert "features" not in told([Need(tmp_path, {"answers": 10, "features": 0}, "")])


def test_what_an_earlier_run_wrote_is_not_needed_again(tmp_path):
    """Else a finished study could not be analysed anew on a disk that it has filled."""
    most = share_of_free(tmp_path, 3)
    need = Need(tmp_path, {"answers": most}, "go elsewhere", there=most - 1000)
    assert told([need]).startswith("about 0.0 MB")
    assert told([Need(tmp_path, {"answers": 1000}, "", there=2000)]) == (
        "all that takes place is there already"
    )
