"""What is kept between commands: a check that passed is not made again, one that failed is."""

from pathlib import Path

import pytest

from scaling.errors import InputError
from scaling.system.cache import check_once


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASR_SCALING_CACHE", str(tmp_path))


def test_what_passed_a_check_is_not_checked_again() -> None:
    looks: list[str] = []
    for content in (b"one", b"one", b"two"):
        check_once(content, lambda: looks.append("looked"), name="test-1")
    assert len(looks) == 2
    check_once(b"one", lambda: looks.append("looked"), name="test-2")  # a stricter check has another name
    assert len(looks) == 3


def test_what_failed_a_check_fails_it_again() -> None:
    def refuse() -> None:
        raise InputError("no plan")

    for _ in range(2):
        with pytest.raises(InputError, match="no plan"):
            check_once(b"bad", refuse, name="test-1")
