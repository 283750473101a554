"""The demo's voice: a soft tune, as WAV."""

import array
import functools
import io
import math
import sys
import wave

SAMPLES_PER_SECOND = 16_000
BYTES_PER_SECOND = 2 * SAMPLES_PER_SECOND
# Semitones above A, of a pentatonic scale: whatever follows whatever sounds well.
_MELODY = (0, 7, 4, 9, 12, 9, 7, 4, 2, 7, 4, 0)
_A_HERTZ = 220.0
_NOTE_SECONDS = 0.3
_LEAST_NOTES = 5
_LOUDNESS = 0.32
# Overtones, each softer and sooner gone, make a bell of a whistle.
_OVERTONES = ((1, 1.0, 4.0), (2, 0.35, 7.0), (3, 0.12, 10.0))
_ATTACK_SECONDS = 0.012
# Notes ring on into the next ones.
_RINGING_SECONDS = 0.4


def play(*, words: int) -> bytes:
    """A WAV file (16 bit, mono, 16 kHz): a note for a word, at least 1.9 and at most 4 seconds."""
    return _play(min(max(_LEAST_NOTES, words), len(_MELODY)))


# Half a second of work, for one of few tunes.
@functools.cache
def _play(count: int) -> bytes:
    notes = _MELODY[:count]
    samples = [0.0] * round((len(notes) * _NOTE_SECONDS + _RINGING_SECONDS) * SAMPLES_PER_SECOND)
    for at, semitones in enumerate(notes):
        start = round(at * _NOTE_SECONDS * SAMPLES_PER_SECOND)
        length = round((_NOTE_SECONDS + _RINGING_SECONDS) * SAMPLES_PER_SECOND)
        for offset, value in enumerate(_note(_A_HERTZ * 2 ** (semitones / 12), length)):
            samples[start + offset] += value
    loudest = max(map(abs, samples))
    data = array.array("h", (round(32_767 * value / loudest * _LOUDNESS) for value in samples))
    if sys.byteorder == "big":
        data.byteswap()
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLES_PER_SECOND)
        sound.writeframes(data.tobytes())
    return file.getvalue()


@functools.cache
def _note(hertz: float, length: int) -> list[float]:
    """One note that swells quickly and dies away to nothing."""
    note = [0.0] * length
    for multiple, loudness, fading in _OVERTONES:
        turn = 2 * math.pi * hertz * multiple / SAMPLES_PER_SECOND
        for at in range(length):
            note[at] += loudness * math.sin(turn * at) * math.exp(-fading * at / SAMPLES_PER_SECOND)
    attack = round(_ATTACK_SECONDS * SAMPLES_PER_SECOND)
    return [
        value * min(1.0, at / attack) * min(1.0, 4 * (length - 1 - at) / length)
        for at, value in enumerate(note)
    ]
