"""What is read ahead comes in order, bounded, and leaves no thread behind."""

import itertools
import threading
import time

import pytest

from scaling.asr.inputs.prefetch import DEPTH, Prefetcher


def test_items_come_in_order_whatever_each_takes():
    def slow(item: int) -> int:
        time.sleep(0.002 * (item % 3))
        return -item

    with Prefetcher(slow, iter(range(20))) as coming:
        assert list(coming) == [-item for item in range(20)]


def test_no_more_is_read_than_a_few_items_ahead():
    begun = []
    with Prefetcher(begun.append, itertools.count()) as coming:
        assert not begun
        for taken in range(1, 6):
            next(coming)
            assert len(begun) <= taken + DEPTH


def test_an_error_is_raised_where_its_item_would_have_come():
    with Prefetcher(lambda item: 1 // item, iter([1, 1, 0, 1])) as coming:
        assert [next(coming), next(coming)] == [1, 1]
        with pytest.raises(ZeroDivisionError):
            next(coming)


@pytest.mark.parametrize("leave_by", [None, KeyError])
def test_its_thread_ends_with_it(leave_by):
    before = threading.active_count()
    try:
        with Prefetcher(str, itertools.count()) as coming:
            next(coming)
            assert threading.active_count() == before + 1
            if leave_by is not None:
                raise leave_by
    except KeyError:
        pass
    assert threading.active_count() == before


def test_the_time_spent_waiting_is_counted():
    with Prefetcher(lambda item: time.sleep(0.05), iter(range(2))) as coming:
        next(coming)
        first = coming.waited_seconds
        time.sleep(0.1)
        next(coming)
    assert first > 0.04
    assert coming.waited_seconds - first < 0.04
