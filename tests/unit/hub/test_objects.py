"""The hub's files: whole or not there, what they were or an error, in a directory and elsewhere."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pytest

from hub.errors import HubRefusal
from hub.objects import Objects
from hub.pieces import Put
from hub.store import Store
from privacy.errors import ResourceProblem, UsageProblem
from tests.support_hub import Kept, accept, put_chunk, token_for
from tests.unit.hub.test_store import EAST, WEST, contribution, orders, release

DATA = b"noised" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["directory", "address", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    if request.param == "directory":
        return Objects(tmp_path / "a::b %20" / "objects")
    return Objects(f"file://{tmp_path}/objects" if request.param == "address" else f"memory://{uuid.uuid4()}")


def test_bytes_come_back_by_their_digest(objects: Objects) -> None:
    assert objects.put(DATA) == objects.put(DATA) == DIGEST
    assert objects.get(DIGEST) == DATA
    assert objects.get(objects.put(b"")) == b""


def test_what_is_not_there_is_told(objects: Objects) -> None:
    with pytest.raises(ResourceProblem, match=f"the hub's file {DIGEST} is gone"):
        objects.get(DIGEST)


def test_pieces_are_kept_until_they_are_given_up(objects: Objects) -> None:
    assert objects.uploads() == []
    for upload, name, pieces in (("b", "x", [b"abc"]), ("a", "y", [b"de", b"f"]), ("a", "z", [b"other"])):
        objects.put_pieces(upload, name, pieces)
    assert objects.uploads() == ["a", "b"]
    assert objects.find_pieces("a", "y") == b"def"
    objects.drop_pieces("a")
    objects.drop_pieces("a")
    assert objects.uploads() == ["b"]
    assert objects.find_pieces("a", "y") == b""


def test_an_address_that_nothing_here_can_reach_is_refused_without_its_password() -> None:
    with pytest.raises(UsageProblem, match="cannot be kept") as caught:
        Objects("nosuch://me:se-cret@example.org/hub")
    assert "se-cret" not in caught.value.explain()


def test_a_file_that_is_not_what_it_was_is_no_answer(tmp_path: Path) -> None:
    objects = Objects(tmp_path)
    objects.put(DATA)
    (tmp_path / "sha256" / DIGEST[:2] / DIGEST).write_bytes(DATA[:-1])
    with pytest.raises(ResourceProblem, match="is not what it was"):
        objects.get(DIGEST)
    objects.put(DATA)
    assert objects.get(DIGEST) == DATA, "who sends it again repairs it"


def test_files_are_the_hubs_alone_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = Objects(tmp_path)
    objects.put(DATA)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "sha256").stat().st_mode & 0o777 == 0o700

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceProblem, match="cannot be used now"):
        objects.put(b"more")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_pieces_that_a_dead_hub_left_behind_are_swept(kept: Kept, store: Store) -> None:
    store.open_release(release("r"), orders())
    for operator, order in (("east", EAST), ("west", WEST)):
        put_chunk(store, operator, order, 0, b"the data")
    accept(store, "east", contribution())
    Objects(kept.objects).put_pieces(EAST, "0", [b"left behind"])
    assert store.sweep() == 1
    assert Objects(kept.objects).uploads() == [WEST]
    assert store.held("west", WEST).data == b"the data"


@pytest.mark.parametrize("left", [b"", b"b", b"bX"], ids=["nothing", "its beginning", "something else"])
def test_pieces_that_were_lost_with_the_machine_are_asked_for_again_from_there(
    kept: Kept, store: Store, left: bytes
) -> None:
    store.open_release(release("r"), orders())
    put_chunk(store, "east", EAST, 0, b"a")
    several = [Put(offset, data, hashlib.sha256(data).hexdigest()) for offset, data in ((1, b"b"), (2, b"c"))]
    assert store.put_pieces("east", EAST, token_for(store, "east", EAST), several) == 3
    (lost,) = (kept.objects / "pieces" / EAST).glob("000000000001-*")
    lost.write_bytes(left)  # as a file system leaves a file that it had no time for
    with pytest.raises(HubRefusal, match="was lost with the hub's machine"):
        store.held("east", EAST)
    assert put_chunk(store, "east", EAST, 0, b"a") == (2 if left else 1), (
        "what follows the loss is sent again"
    )
    assert [put_chunk(store, "east", EAST, 1, b"b"), put_chunk(store, "east", EAST, 2, b"c")] == [2, 3]
    assert store.held("east", EAST).data == b"abc"
