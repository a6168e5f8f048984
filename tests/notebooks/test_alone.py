"""A notebook runs alone through plain papermill, with nothing left by those before it."""

import papermill
from cells import sentences_of_summary

from sercue.report.notebooks import notebook_files
from sercue.run import open_run

SHORT = {"conditions": ["none", "aligned"], "templates": ["plain"], "label_orders": 1,
         "replicates": 1, "resamples": 100, "controls": False}  # fmt: skip


def test_the_last_notebook_runs_alone(small_study, tmp_path):
    """What it needs and lacks it computes, which is all that those before it make.

    That 02, 03 and 04 run alone is checked by test_wheel, test_corpus_studies and
    test_private_provenance; nothing comes before 01 in the small study.
    """
    parameters = small_study.settings | SHORT | {"out": str(tmp_path / "out")}
    executed = tmp_path / "executed.ipynb"
    papermill.execute_notebook(
        str(notebook_files()[-1]), str(executed), parameters=parameters, progress_bar=False
    )
    assert sentences_of_summary(executed) >= 3
    assert sentences_of_summary(small_study.folder / f"{notebook_files()[0].stem}.ipynb") >= 3
    assert (tmp_path / "out" / "artifacts" / "provenance.json").is_file()


def test_05_computes_what_a_run_of_01_alone_did_not_leave(small_study, tmp_path):
    """The corpus lies in the artifacts and the predictions do not: half a study is none."""
    parameters = small_study.settings | SHORT | {"out": str(tmp_path / "out")}
    _ = open_run(parameters).features
    assert len(open_run(parameters, reuse=True).tests) == 1
