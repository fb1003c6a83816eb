"""Batches are made in the background, while the one before is used."""

import threading

import pytest

from shd_genn.batches import one_ahead


def test_the_next_is_made_while_one_is_used():
    made = [threading.Event() for _ in range(4)]
    makers = set()

    def items():
        for i, event in enumerate(made):
            makers.add(threading.get_ident())
            event.set()
            yield i

    used = []
    for item in one_ahead(items()):
        if item + 1 < len(made):  # it is being used, and the next one comes all the same
            assert made[item + 1].wait(timeout=30)
        used.append(item)
    assert used == [0, 1, 2, 3]
    assert threading.get_ident() not in makers


def test_what_goes_wrong_in_the_background_is_heard_of():
    def items():
        yield 1
        raise ValueError("no second one")

    with pytest.raises(ValueError, match="no second one"):
        list(one_ahead(items()))
