"""What is taken out of texts that are sent to others, and what is left alone."""

from pathlib import Path

from sercue.paths import project_folder
from sercue.private_paths import without_private_paths
from sercue.settings import Settings


def test_the_home_folder_and_the_project_are_not_named():
    text = f"{project_folder()}/sercue/binning.py and {Path.home()}/elsewhere/x.py"
    shown = without_private_paths(text, Settings())
    assert "./sercue/binning.py and ~" in shown
    assert str(Path.home()) not in shown
    assert str(project_folder()) not in shown


def test_a_folder_whose_name_only_begins_alike_is_left():
    """``/data/emo`` is not part of ``/data/emodb``, nor of ``/mnt/data/emo``."""
    settings = Settings(corpus="emodb", corpus_root="/data/emo")
    text = "/data/emodb /mnt/data/emo /data/emo/wav '/data/emo'"
    assert without_private_paths(text, settings) == "/data/emodb /mnt/data/emo emo/wav 'emo'"


def test_a_folder_within_another_is_taken_first():
    settings = Settings(corpus="emodb", corpus_root="/r/s/t", out="/r/s")
    assert without_private_paths("/r/s/t/a.wav /r/s/b", settings) == "t/a.wav s/b"


def test_a_checkpoint_on_this_machine_keeps_its_name_only():
    settings = Settings(model="hf:/models/mine")
    assert without_private_paths("model = 'hf:/models/mine'", settings) == "model = 'hf:mine'"


def test_options_and_servers_are_replaced_like_all_else():
    """A server's own message names its host; a notebook's parameters hold the options as given."""
    options = {"base_url": "http://gpu7.lab:8000/v1", "list": ["/srv/me/a.csv", 3]}
    settings = Settings(model="endpoint:m", model_options=options)
    text = "'http://gpu7.lab:8000/v1' '/srv/me/a.csv' gpu7.lab: connection refused; gpu7.lab.other"
    shown = without_private_paths(text, settings)
    assert shown == "'http://HOST:8000/v1' 'a.csv' HOST: connection refused; gpu7.lab.other"
