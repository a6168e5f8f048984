"""A study on workers: what is sent to them, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus, nothing_left_out, utterance_ids
from sercue.distributed import worker
from sercue.distributed.connection import Call, spread
from sercue.running import side_by_side
from sercue.study.store import KEY

if TYPE_CHECKING:
    from distributed import Client

    from sercue.models import AudioLanguageModel

# What of a planned row it takes to ask it.
_SENT = ("row", "source", "heard", "recording", "text", *KEY)


def answered(
    client: Client,
    function: Callable[..., pd.DataFrame],
    corpus: Corpus,
    batches: Iterable[tuple[AudioLanguageModel, pd.DataFrame]],
    rest: tuple[Any, ...],
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The batches of a study with their answers, in the order in which these come.

    Args:
        client: a client of the scheduler
        function: ``function(corpus, model, rows, *rest)`` gives the answers
        corpus: where the utterances are from
        batches: each a model and rows to ask of it, whose audio ``source`` places in the corpus
        rest: further arguments

    Raises:
        InputError: as ``spread`` and ``function`` do
        ServerError: as ``spread`` and ``function`` do
    """
    return spread(client, worker.ask, _calls(function, corpus, batches, rest))


def answered_here(
    function: Callable[..., pd.DataFrame],
    corpus: Corpus,
    batches: Iterable[tuple[AudioLanguageModel, pd.DataFrame]],
    rest: tuple[Any, ...],
    jobs: int,
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """The same by as many processes of this machine as ``jobs``, each of which holds the model."""
    calls = list(_calls(function, corpus, batches, rest))
    answers = side_by_side(worker.ask_here, [call.arguments for call in calls], jobs)
    return zip([call.about for call in calls], answers, strict=True)


def _calls(
    function: Callable[..., pd.DataFrame],
    corpus: Corpus,
    batches: Iterable[tuple[AudioLanguageModel, pd.DataFrame]],
    rest: tuple[Any, ...],
) -> Iterator[Call]:
    """What is sent to ask each batch."""
    sent: dict[int, worker.SentModel] = {}
    for model, batch in batches:
        if id(model) not in sent:
            sent[id(model)] = sent_model(model)
        places = batch["source"].unique()
        rows = batch[[name for name in batch if name in _SENT]]
        rows = rows.assign(source=pd.Index(places).get_indexer(batch["source"]))
        # All categories would carry the names of all utterances with each batch.
        for name in rows.select_dtypes("category"):
            rows[name] = rows[name].cat.remove_unused_categories()
        arguments = (sent[id(model)], function, excerpt(corpus, places), rows, rest)
        names = utterance_ids(corpus.table.index[batch["row"].unique()])
        yield Call(batch, arguments, list(names))


def sent_model(model: AudioLanguageModel) -> worker.SentModel:
    """A model as workers get it: trained, if it is one that trains itself, and without weights."""
    from distributed.protocol import pickle

    whole = getattr(model, "answering", model)
    return worker.SentModel(whole.name, whole.identity, pickle.dumps(whole))


def excerpt(corpus: Corpus, places: np.ndarray) -> Corpus:
    """Some utterances of a corpus, by paths that hold on other machines, and nothing of the rest.

    Args:
        corpus: the corpus
        places: rows of its table
    """
    table = corpus.table.iloc[places]
    named = table.index.get_level_values("file").unique()
    files = {file: Path(corpus.files[file]).absolute() for file in named if file in corpus.files}
    return replace(
        corpus,
        root=corpus.root.absolute(),
        table=table,
        files=files,
        left_out=nothing_left_out(),
        expected=(),
    )


def facts(client: Client, model: AudioLanguageModel) -> dict[str, str]:
    """What a model says of itself on a worker: here its weights may not even fit.

    Args:
        client: a client of the scheduler
        model: the model

    Raises:
        InputError: as ``spread`` does
    """
    ((_, told),) = spread(client, worker.facts, [Call(None, (sent_model(model),), [model.name])])
    return dict(told)


def where_it_ran(client: Client, name: str) -> dict[str, Any]:
    """Device and batch size of a model on the workers that hold it; empty if none does.

    Args:
        client: a client of the scheduler
        name: how reports call the model
    """
    answers = client.run(worker.held_devices, name, on_error="return").values()
    held = [answer for answer in answers if isinstance(answer, dict) and answer]
    if not held:
        return {}
    devices = sorted({str(answer["device"]) for answer in held})
    return {
        "device": f"{', '.join(devices)} of {len(held)} workers",
        "batch_size": min(answer["batch_size"] for answer in held),
    }
