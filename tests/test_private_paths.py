"""What is taken out of texts that are sent to others, and what is left alone."""

from pathlib import Path

import nbformat
from papermill.translators import translate_parameters

from sercue.privacy import clean_notebook, shareable, without_private_paths
from sercue.settings import Settings, settings_from
from sercue.storage.files import project_folder


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


def test_contrastive_checkpoints_on_this_machine_keep_their_names_only():
    settings = Settings(baselines=["clap", "clap:/models/mine", "clap:organisation/model@main"])
    assert shareable(settings)["baselines"] == ["clap", "clap:mine", "clap:organisation/model@main"]
    text = "baselines = ['clap:/models/mine']"
    assert without_private_paths(text, settings) == "baselines = ['clap:mine']"


def test_options_and_servers_are_replaced_like_all_else():
    """A server's own message names its host; a notebook's parameters hold the options as given."""
    options = {"base_url": "http://gpu7.lab:8000/v1", "list": ["/srv/me/a.csv", 3]}
    settings = Settings(model="endpoint:m", model_options=options)
    text = "'http://gpu7.lab:8000/v1' '/srv/me/a.csv' gpu7.lab: connection refused; gpu7.lab.other"
    shown = without_private_paths(text, settings)
    assert shown == "'http://HOST:8000/v1' 'a.csv' HOST: connection refused; gpu7.lab.other"


def test_caches_and_keys_of_the_environment_are_not_named(monkeypatch):
    """A cache often lies in a folder that is called after its user."""
    monkeypatch.setenv("SERCUE_CACHE", "/scratch/me/cache")
    monkeypatch.setenv("MY_KEY", "sk-planted/01234")
    settings = Settings(model="endpoint:m", model_options={"key_variable": "MY_KEY"})
    text = "/scratch/me/cache/models: sk-planted/01234, sk-planted\\/01234, sk-planted%2F01234"
    assert without_private_paths(text, settings) == "cache/models: [key], [key], [key]"


PICTURE = "iVBORw0KGgo/root/of/a/picture"


def executed(settings):
    """A notebook as papermill leaves it, with a cell that tells of folders in all its outputs."""
    parameters = settings.model_dump(exclude_defaults=True)
    source = translate_parameters("python3", "python", parameters, "Parameters")
    injected = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]})
    path = str(Path.home() / "elsewhere" / "a.wav")
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text=f"no {path}\n"),
        nbformat.v4.new_output("error", ename="E", evalue=path, traceback=[f"1 {path}", "2"]),
        nbformat.v4.new_output("display_data", {"text/html": path, "image/png": PICTURE}),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs)
    noted = {"input_path": path, "parameters": parameters, "duration": 1.5}
    return nbformat.v4.new_notebook(cells=[injected, cell], metadata={"papermill": noted})


def test_a_notebook_names_no_folder_and_runs_again_with_the_same_settings():
    """It is sent with its report, and executed again here by hand."""
    home = Path.home()
    given = {"corpus": "emodb", "corpus_root": f"{home}/emodb", "out": "/srv/out", "study": "s"}
    given |= {"model": f"hf:{home}/mine", "baselines": ["clap", f"clap:{home}/theirs"]}
    settings = Settings(**given, labels=[f"{home}/label"])
    clean_notebook(notebook := executed(settings), settings)
    assert notebook.metadata.papermill.input_path == "~/elsewhere/a.wav"
    assert notebook.metadata.papermill.parameters.corpus_root == "emodb"
    assert notebook.metadata.papermill.duration == 1.5
    outputs = notebook.cells[1].outputs
    assert str(home) not in str(outputs[:2])
    assert outputs[2].data == {"text/html": "~/elsewhere/a.wav", "image/png": PICTURE}
    source = notebook.cells[0].source
    assert 'corpus_root = "~/emodb"' in source
    assert 'model = "hf:~/mine"' in source
    assert 'baselines = ["clap", "clap:~/theirs"]' in source
    again = {}
    exec(source, {}, again)
    assert settings_from(again) == settings
    nbformat.validate(notebook)
