"""A finished study made without a model: real prompts, answers drawn at random."""

import audformat
import numpy as np
import pandas as pd
import soundfile

from sercue.artifacts import Artifacts
from sercue.corpora.audio import audio_digests
from sercue.corpora.audio_variants import variant_digest
from sercue.corpora.corpus import Corpus
from sercue.settings import BINNING_KEYS, CORPUS_KEYS, STUDY_KEYS, Settings
from sercue.storage.tables import append_part
from sercue.study.plan import plan_study
from sercue.study.store import rows_digest

LABELS = ("angry", "happy", "neutral", "sad")
SPEAKERS = [f"anna_{n}" for n in range(8)]
WRITTEN = "I hear that my cat has died"


def made_study(
    folder, utterances=40, *, may_share=False, recorded=False, speakers=SPEAKERS, **settings
):
    """Write the artifacts of a study into a folder.

    Args:
        folder: of the run
        utterances: how many are evaluated
        may_share: whether its recordings may be passed on
        recorded: whether there are any, half a second of noise each
        speakers: who speaks in the evaluated ones, in turn
        **settings: of the study

    Returns:
        its settings, and the predictions that were written
    """
    given = {"study": "made", "corpus": "table", "corpus_root": str(folder / "corpus.csv"),
             "conditions": ["none", "aligned", "conflicting"], "templates": ["plain"],
             "label_orders": 1, "replicates": 1}  # fmt: skip
    study, draw = Settings(**(given | settings)), np.random.default_rng(0)
    index = audformat.segmented_index([f"take_{n:05d}.wav" for n in range(utterances + 8)])
    table = pd.DataFrame(
        {
            "emotion": [LABELS[n % 4] for n in range(len(index))],
            "speaker": [speakers[n % len(speakers)] for n in range(utterances)] + ["trained"] * 8,
            "partition": ["test"] * utterances + ["train"] * 8,
        },
        index=index,
    )
    corpus = Corpus("table", folder, table, LABELS, "neutral", "none", may_share)
    concepts = study.tokens.names
    words = study.tokens.words
    tokens = pd.DataFrame(
        {name: draw.choice(list(words[name].known), len(index)) for name in concepts}, index
    )
    artifacts = Artifacts(folder / "artifacts")
    digests = pd.Series([f"{n:032x}" for n in range(len(index))], index)
    if recorded:
        for name in index.get_level_values("file"):
            soundfile.write(folder / name, draw.normal(scale=0.1, size=8_000), 16_000)
        table.reset_index()[["file", *table]].to_csv(folder / "corpus.csv", index=False)
        digests = audio_digests(corpus)
    artifacts.save_corpus(corpus, digests, study.fingerprint(CORPUS_KEYS), "content")
    stamp = study.fingerprint((*CORPUS_KEYS, *BINNING_KEYS))
    artifacts.save("tokens.parquet", tokens, stamp, content="content")
    asked = {"orders": study.label_orders, "replicates": study.replicates, "words": words}
    plan = plan_study(
        corpus, tokens, conditions=study.conditions, templates=study.templates, **asked
    )
    heard = zip(digests.iloc[plan["source"]], plan["heard"].astype("str"), strict=True)
    sounds = [variant_digest(digest, name, study.seed) for digest, name in heard]
    asked_of = plan.drop(columns=["row", "source", "text"]).assign(audio=sounds)
    predictions = answered(asked_of, study.decoding, draw)
    append_part(artifacts.folder / "predictions", predictions)
    artifacts.record(
        corpus={"stamp": "content"},
        predictions={"rows": len(predictions), "settings": study.fingerprint(STUDY_KEYS),
                     "content": "content", "digest": rows_digest(predictions)},
    )  # fmt: skip
    return study, predictions


def answered(plan, decoding, draw):
    """The plan with an answer to each row; every tenth of the generated ones names no class."""
    shares = draw.dirichlet(np.ones(4), len(plan))
    prediction = np.array(LABELS, object)[shares.argmax(axis=1)]
    invalid = np.zeros(len(plan), bool)
    if decoding == "generate":
        invalid[::10] = True
        shares[:] = np.nan
    rows = plan.assign(
        model="m", decoding=decoding, options="o",
        prediction=pd.Series(prediction).mask(invalid).astype("category"),
        valid=~invalid,
        why_invalid=pd.Categorical(np.where(invalid, "no label", None), ["no label"]),
        answer=pd.Categorical([WRITTEN if decoding == "generate" else None] * len(plan), [WRITTEN]),
        label_mass=np.nan,
    )  # fmt: skip
    return rows.assign(**{f"p_{label}": shares[:, n] for n, label in enumerate(LABELS)})
