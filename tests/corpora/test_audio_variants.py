"""Audio variants keep length and level, and of the rest what they say they keep."""

import numpy as np
import pandas as pd
import pytest
from scipy import signal as dsp

from sercue.corpora.audio_variants import AUDIO_VARIANTS, FADE, PIECE, partners, varied
from sercue.errors import InputError

RATE = 16_000


@pytest.fixture(scope="module")
def speech():
    """1.6 s of modulated noise with a tone: a level, an envelope, and both sides of 400 Hz."""
    times = np.arange(round(1.6 * RATE)) / RATE
    noise = np.random.default_rng(1).normal(0, 0.02, len(times))
    tones = 0.1 * np.sin(2 * np.pi * 150 * times) + 0.1 * np.sin(2 * np.pi * 1500 * times)
    return ((1 + np.sin(2 * np.pi * 2 * times)) * (tones + noise)).astype(np.float32)


def rms(samples):
    return np.sqrt(np.mean(np.square(samples, dtype=float)))


@pytest.mark.parametrize("name", AUDIO_VARIANTS)
def test_length_and_level_are_kept(speech, name):
    made = varied(speech, RATE, name, "00ff")
    assert (made.dtype, made.shape) == (np.float32, speech.shape)
    assert rms(made) == pytest.approx(0 if name == "silent" else rms(speech), rel=1e-3)


@pytest.mark.parametrize("name", ["spliced", "noise"])
def test_what_is_drawn_is_that_of_the_utterance(speech, name):
    made = varied(speech, RATE, name, "00ff")
    np.testing.assert_array_equal(made, varied(speech, RATE, name, "00ff"))
    assert np.abs(made - varied(speech, RATE, name, "00fe")).max() > 0.01


def test_a_low_pass_leaves_what_is_below_400_hz(speech):
    """By Welch's spectrum: the tone of 1500 Hz is gone by more than 60 dB."""
    frequencies, before = dsp.welch(speech, RATE, nperseg=4096)
    _, after = dsp.welch(varied(speech, RATE, "lowpass", "00ff"), RATE, nperseg=4096)
    low, high = (np.abs(frequencies - f).argmin() for f in (150, 1500))
    assert after[high] / after[low] < 1e-6 * before[high] / before[low]


def test_noise_has_the_spectrum_and_no_envelope(speech):
    made = varied(speech, RATE, "noise", "00ff")
    magnitude, made_of = (np.abs(np.fft.rfft(x.astype(float))) for x in (speech, made))
    np.testing.assert_allclose(made_of, magnitude, atol=1e-3 * magnitude.max())
    # Of noise that swells, the envelope: the level of 50 ms at a time.
    swelling = np.repeat(np.linspace(0.01, 0.2, 32), 800) * np.random.default_rng(2).normal(
        size=25_600
    )
    heard = varied(swelling.astype(np.float32), RATE, "noise", "00ff")
    levels = [np.std([rms(part) for part in np.split(x, 32)]) for x in (swelling, heard)]
    assert levels[1] < levels[0] / 5


def test_splicing_moves_whole_pieces(speech):
    """Each piece of 250 ms is found again somewhere, but for its fades."""
    ramp = np.linspace(0.1, 0.9, len(speech), dtype=np.float32)
    made = varied(ramp, RATE, "spliced", "00ff")
    size, half = round(PIECE * RATE), round(FADE * RATE / 2)
    inner = [made[first + half : first + size - half] for first in range(0, len(ramp), size)]
    order = [float(np.mean(piece)) for piece in inner if len(piece) > 100]
    assert order != sorted(order)
    assert len({round(value, 2) for value in order}) == len(order)


def test_pieces_cross_over_at_equal_power():
    """Of a constant, sine and cosine add up to the square root of 2 in the middle of a fade."""
    constant = np.full(RATE, 0.1, dtype=np.float32)
    made = varied(constant, RATE, "spliced", "00ff")
    assert made.max() / np.median(made) == pytest.approx(np.sqrt(2), rel=0.01)


def rows(**columns):
    table = pd.DataFrame(columns)
    return table.set_index(pd.Index([f"u{n}" for n in range(len(table))]))


def test_a_partner_is_of_the_same_speaker_and_sentence_if_there_is_one():
    table = rows(
        emotion=["sad", "happy", "happy", "sad", "happy"],
        speaker=["a", "a", "a", "b", "c"],
        sentence=["1", "2", "1", "1", "1"],
        sex=["f", "f", "f", "f", "m"],
    )
    found = partners(table)
    assert found.loc["u0"].tolist() == ["u2", "speaker and sentence"]
    assert found.loc["u1"].tolist() == ["u0", "speaker"]
    # b has one class only: another woman, by preference with the same sentence.
    assert found.loc["u3"].tolist() == ["u2", "sex"]
    # c is the only man.
    assert found.loc["u4", "by"] == "any"
    counts = found["by"].value_counts(sort=False).to_dict()
    assert counts == {"speaker and sentence": 2, "speaker": 1, "sex": 1, "any": 1}


def test_what_is_not_known_is_not_shared():
    table = rows(
        emotion=["sad", "happy"], speaker=["a", "b"], sex=[None, None], sentence=[None] * 2
    )
    assert partners(table)["by"].tolist() == ["any"] * 2


def test_partners_are_of_another_class_and_do_not_depend_on_the_order_of_rows():
    generator = np.random.default_rng(0)
    table = rows(
        emotion=generator.choice(list("xyz"), 60), speaker=generator.choice(list("ab"), 60)
    )
    found = partners(table)["partner"]
    assert (table.loc[found, "emotion"].to_numpy() != table["emotion"].to_numpy()).all()
    assert (table.loc[found, "speaker"].to_numpy() == table["speaker"].to_numpy()).all()
    shuffled = table.sample(frac=1, random_state=1)
    assert partners(shuffled)["partner"].sort_index().equals(found.sort_index())
    assert found.value_counts().max() < 15


def test_one_class_has_no_partners():
    with pytest.raises(InputError, match="of one class"):
        partners(rows(emotion=["sad", "sad"], speaker=["a", "b"]))
