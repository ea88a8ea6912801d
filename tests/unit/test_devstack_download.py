"""The broker's jars: what counts as missing, and that only the right bytes get in."""

import hashlib
from pathlib import Path

import pytest

from devstack import download
from devstack.download import Jar
from devstack.errors import DevstackError

CONTENT = b"the right bytes"
JAR = Jar("org.example:thing:1.0", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def one_jar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "locked_jars", lambda: [JAR])


def serve(monkeypatch: pytest.MonkeyPatch, *answers: bytes | Exception) -> list[Path]:
    """Instead of the network: each transfer takes the next answer."""
    left, asked = list(answers), []

    def transfer(jar: Jar, repository: Path) -> Path:
        asked.append(repository)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        repository.mkdir()
        path = repository / jar.filename
        path.write_bytes(answer)
        return path

    monkeypatch.setattr(download, "_transfer", transfer)
    return asked


def fetch(cache: Path) -> tuple[Path, list[str]]:
    said: list[str] = []
    return download.kafka_jars(cache, said.append), said


def test_the_lock_holds_the_broker_and_what_it_needs() -> None:
    jars = download.locked_jars()
    names = {jar.filename for jar in jars}
    assert len(names) == len(jars) == 46
    assert f"kafka_2.13-{download.VERSION}.jar" in names
    assert all(jar.size > 0 and len(jar.sha256) == 64 for jar in jars)


@pytest.mark.usefixtures("one_jar")
def test_a_download_says_how_much_it_fetches_and_the_next_start_fetches_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve(monkeypatch, CONTENT)
    folder, said = fetch(tmp_path)
    assert (folder / JAR.filename).read_bytes() == CONTENT
    assert "1 jars" in said[0]
    assert fetch(tmp_path) == (folder, [])
    assert [path.name for path in folder.iterdir()] == [JAR.filename]


@pytest.mark.usefixtures("one_jar")
def test_what_a_killed_download_left_is_removed_and_a_half_written_jar_fetched_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    serve(monkeypatch, CONTENT)
    half = tmp_path / f"kafka-{download.VERSION}" / JAR.filename
    half.parent.mkdir()
    half.write_bytes(CONTENT[:4])
    (half.parent / "part-of-the-dead").mkdir()
    fetch(tmp_path)
    assert half.read_bytes() == CONTENT
    assert [path.name for path in half.parent.iterdir()] == [JAR.filename]


@pytest.mark.usefixtures("one_jar")
def test_a_failed_transfer_and_wrong_bytes_are_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = serve(monkeypatch, OSError("reset"), b"wrong bytes", CONTENT)
    folder, _ = fetch(tmp_path)
    assert len(set(asked)) == 3
    assert (folder / JAR.filename).read_bytes() == CONTENT


@pytest.mark.usefixtures("one_jar")
def test_a_jar_that_cannot_be_had_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    serve(monkeypatch, *[OSError("no route to host")] * download.TRIES)
    with pytest.raises(DevstackError, match=r"(?s)org\.example:thing:1\.0: no route to host.*run the command again"):
        fetch(tmp_path)
    assert list((tmp_path / f"kafka-{download.VERSION}").iterdir()) == []


def test_the_cache_can_be_named_and_falls_back_to_the_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEVSTACK_CACHE", str(tmp_path / "named"))
    assert download.cache_folder(tmp_path) == tmp_path / "named"
    monkeypatch.delenv("DEVSTACK_CACHE")
    (tmp_path / "file").touch()
    monkeypatch.setattr(download, "_users_cache", lambda: tmp_path / "file")
    assert download.cache_folder(tmp_path) == tmp_path / "cache"
