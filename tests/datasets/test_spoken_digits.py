"""The embedded dataset; encoded by a cochlea of few places, which is made in no time."""

import ctypes
import errno
import threading
from dataclasses import replace
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest
from helpers import caches

from shd_genn.datasets import espeak, spoken_digits
from shd_genn.datasets.espeak import Espeak
from shd_genn.datasets.load import load_split
from shd_genn.datasets.spoken_digits import Recipe, Voice, prepare, speak, takes
from shd_genn.encode.basilar_membrane import BasilarMembrane
from shd_genn.encode.cochlea import Cochlea
from shd_genn.spikes.hdf5 import read_spikes
from shd_genn.support.errors import BuildError

LITTLE = Recipe(
    seen=(Voice("m1", "en-us", 45), Voice("f1", "en", 55)),
    unseen=(Voice("f5", "en", 55),),
    train_takes=2,
)
SMALLEST = Recipe(seen=LITTLE.seen[:1], unseen=(), train_takes=1)
N_PLACES = 12


@pytest.fixture
def cache(tmp_path, monkeypatch):
    caches.use(tmp_path, monkeypatch)
    small = Cochlea(membrane=BasilarMembrane(n_places=N_PLACES))
    monkeypatch.setattr(spoken_digits, "Cochlea", lambda: small)
    return tmp_path


def content(folder):
    """All numbers of a dataset's files."""
    parts = [read_spikes(folder / f"{split}.h5", "") for split in ("train", "test")]
    arrays = []
    for part in parts:
        events = part.events
        arrays += [events.times_ms, events.channels, events.offsets, part.labels, part.speakers]
    return [array.tolist() for array in arrays]


def test_who_says_what():
    recipe = Recipe()
    train, test = list(takes(recipe, "train")), list(takes(recipe, "test"))
    assert len(train) == 12 * 20 * recipe.train_takes
    assert len(test) == 12 * 20 * recipe.test_takes + 2 * 20 * recipe.unseen_takes
    seen, unseen = {t.voice for t in train}, {t.voice for t in test} - {t.voice for t in train}
    assert len(seen) >= 12 and unseen == set(recipe.unseen) and len(unseen) == 2
    for part in (train, test):
        counts = np.bincount([t.label for t in part])
        assert len(counts) == 20 and len(set(counts)) == 1  # as often every word
    voices = (*recipe.seen, *recipe.unseen)
    assert all(voices[t.speaker] == t.voice for t in train + test)


def test_every_take_has_random_numbers_of_its_own():
    drawn = [t.rng.random() for split in ("train", "test") for t in takes(LITTLE, split)]
    assert len(set(drawn)) == len(drawn)


def test_all_voices_exist_and_differ():
    # espeak-ng takes a variant that it does not have for none, without a word
    variants = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    voices = (*Recipe().seen, *Recipe().unseen)
    for voice in voices:
        assert (variants / voice.variant).is_file()
    sounds = set()
    for voice in voices:
        sounds.add(Espeak().say("zero", f"en+{voice.variant}", 50, 50, 200).tobytes())
    assert len(sounds) == len(voices)


def sounds(recipe):
    return [word.speech for words in speak(recipe).values() for word in words]


def test_the_same_sound_every_time():
    first = sounds(LITTLE)
    ctypes.CDLL(None).rand()
    for one, other in zip(first, sounds(LITTLE), strict=True):
        np.testing.assert_array_equal(one, other)


def test_words_are_words():
    words = sounds(LITTLE)
    assert len({w.tobytes() for w in words}) == len(words)  # no take is like another
    for word in words:
        assert 0.1 < len(word) / 22050 < 0.75
        assert np.abs(word[0]) > 200 and np.abs(word[-1]) > 200  # no silence around it
        assert np.abs(word.astype(int)).max() > 2000


def test_made_once(cache, capsys):
    folder = prepare(LITTLE)
    assert "making the embedded dataset spoken-digits (once" in capsys.readouterr().out
    made = (folder / "train.h5").stat().st_mtime_ns
    assert prepare(LITTLE) == folder
    assert capsys.readouterr().out == ""
    assert (folder / "train.h5").stat().st_mtime_ns == made
    assert sorted(p.name for p in folder.iterdir()) == [
        ".lock",
        "test.h5",
        "test.h5.sha256",
        "train.h5",
        "train.h5.sha256",
    ]

    train, test = (read_spikes(folder / f"{split}.h5", "") for split in ("train", "test"))
    assert (len(train), len(test)) == (80, 80)
    for part in (train, test):
        assert set(part.labels) == set(range(20)) and part.n_classes == 20
        assert part.class_names[5] == "five" and part.class_names[15] == "fünf"
        assert part.speaker_names == ("m1", "f1", "f5")
        assert part.n_channels == N_PLACES
        assert part.events.counts.min() > 10
        assert 100 < part.events.times_ms.max() < 800
    assert set(train.speakers) == {0, 1} and set(test.speakers) == {0, 1, 2}


def test_another_recipe_another_folder(cache):
    one, other = (prepare(recipe) for recipe in (SMALLEST, replace(SMALLEST, seed=1)))
    assert one != other
    assert content(one) != content(other)


def test_two_makings_are_the_same_to_the_byte(cache, monkeypatch):
    recipe = replace(SMALLEST, unseen=LITTLE.unseen, unseen_takes=1)
    one = prepare(recipe)
    caches.use(cache / "another", monkeypatch)
    other = prepare(recipe)
    assert one != other
    for file in ("train.h5", "test.h5"):
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_a_making_that_fails_leaves_no_dataset(cache, monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: "nowhere.so")
    with pytest.raises(BuildError, match="espeak-ng cannot be loaded"):
        prepare(LITTLE)
    assert not list(cache.rglob("*.h5"))


def test_an_interrupted_making_goes_on_to_the_same_end(cache, monkeypatch):
    recipe = replace(LITTLE, train_takes=1, unseen_takes=1)
    encode = spoken_digits._encode
    encoded = []

    def stop_in_the_middle(recipe, words, advance):
        if len(encoded) == 4:
            raise KeyboardInterrupt
        encoded.append(words[0].take.speaker)
        return encode(recipe, words, advance)

    monkeypatch.setattr(spoken_digits, "_encode", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        prepare(recipe)
    (folder,) = (cache / "spoken-digits").iterdir()
    assert (folder / "test.h5").is_file() and not (folder / "train.h5").exists()

    encoded.clear()
    monkeypatch.setattr(
        spoken_digits, "_encode", lambda *a: encoded.append(a[1][0].take.speaker) or encode(*a)
    )
    prepare(recipe)
    assert encoded == [1]  # what is done is not done again
    resumed = content(folder)

    caches.use(cache / "another", monkeypatch)
    assert content(prepare(recipe)) == resumed


def test_of_two_at_once_one_waits(cache, monkeypatch):
    make, made = spoken_digits._make, []
    monkeypatch.setattr(spoken_digits, "_make", lambda *a: made.append(1) or make(*a))
    threads = [threading.Thread(target=prepare, args=(SMALLEST,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_its_name_is_in_it(cache, monkeypatch):
    monkeypatch.setattr(spoken_digits, "Recipe", lambda: SMALLEST)
    assert load_split("spoken-digits", "test").name == "spoken-digits"


def test_a_voice_that_is_not_there():
    with pytest.raises(BuildError, match=r"has no voice xx\+m1; pip install"):
        Espeak().say("one", "xx+m1", 50, 50, 200)


def test_nothing_to_hear():
    with pytest.raises(BuildError, match="is silent instead of saying ' ' with the voice en; pip"):
        Espeak().say(" ", "en", 50, 50, 200)


def test_a_library_that_is_not_there(monkeypatch):
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: "nowhere.so")
    with pytest.raises(BuildError, match=r"cannot be loaded .*nowhere.so.*--force-reinstall"):
        Espeak()


def test_speech_where_no_copy_of_the_library_can_be_made(monkeypatch, tmp_path):
    """A full disk, noexec for all folders, and a long path of temporary files and of voices."""
    sound = Espeak().say("one", "en", 50, 50, 200)

    def fail(*_paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(espeak.shutil, "copy", fail)
    voices = tmp_path / ("x" * 100) / ("y" * 100) / "espeak-ng-data"
    voices.parent.mkdir(parents=True)
    voices.symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(voices))
    monkeypatch.setattr(espeak.tempfile, "tempdir", str(voices.parent))
    assert Espeak().say("one", "en", 50, 50, 200).tobytes() == sound.tobytes()


def test_voices_that_are_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path / "none"))
    with pytest.raises(BuildError, match=r"does not find its voices in .*; pip install"):
        Espeak()


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "no checksum"])
def test_damaged_files_are_made_again(cache, damage):
    folder = prepare(SMALLEST)
    before = content(folder)
    path = folder / "test.h5"
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "changed":
        path.write_bytes((folder / "train.h5").read_bytes())
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        (folder / "test.h5.sha256").unlink()
    assert prepare(SMALLEST) == folder
    assert content(folder) == before


def test_voices_in_a_long_path(monkeypatch, tmp_path):
    """espeak-ng has room for 160 bytes."""
    sound = Espeak().say("one", "en", 50, 50, 200)
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(deep / "espeak-ng-data"))
    np.testing.assert_array_equal(Espeak().say("one", "en", 50, 50, 200), sound)


def test_a_cache_from_which_no_library_is_loaded(monkeypatch, tmp_path):
    """As a file system that is mounted noexec."""
    monkeypatch.setenv("SHD_GENN_CACHE", str(tmp_path))
    load = ctypes.CDLL

    def refuse(path, *args, **options):
        if str(path).startswith(str(tmp_path)):
            raise OSError("failed to map segment from shared object")
        return load(path, *args, **options)

    sound = Espeak().say("one", "en", 50, 50, 200)
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    np.testing.assert_array_equal(Espeak().say("one", "en", 50, 50, 200), sound)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_while_espeak_calls_back(monkeypatch):
    espeak = Espeak()

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(np.ctypeslib, "as_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        espeak.say("one", "en", 50, 50, 200)
    monkeypatch.undo()
    assert len(espeak.say("one", "en", 50, 50, 200)) > 1000
