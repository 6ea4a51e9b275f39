"""Each rule of buf.yaml: a change of proto/ that breaks a peer is refused, and one that breaks none is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wire.record import HERE, PROTO, ROOT

BUF = Path(sys.executable).with_name("buf")
FEDERATION, STATISTICS = "federation.proto", "statistics.proto"
OLD = """\
message Old {
  string kept = 1;
  int64 number = 2;
  repeated string many = 3;
  oneof choice {
    string left = 4;
    string right = 5;
  }
}

enum Colour {
  COLOUR_UNSPECIFIED = 0;
  COLOUR_RED = 1;
}
"""


def proto_at(root: Path, old: str = OLD) -> Path:
    """Copy proto/ and its rules, with some more to change at the end of the federation's file."""
    place = root / "proto"
    shutil.copytree(PROTO, place, ignore=shutil.ignore_patterns("*.py", "*.pyi", "__pycache__"))
    shutil.copy(ROOT / "buf.yaml", root)
    path = place / "quorate" / "v1" / FEDERATION
    path.write_text(path.read_text(encoding="utf-8") + old, encoding="utf-8")
    return root


def buf(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    assert BUF.exists(), "buf is not installed here; make check installs what requirements/dev.txt locks"
    return subprocess.run([BUF, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The descriptors of what is changed below."""
    root = proto_at(tmp_path_factory.mktemp("before"))
    out = root / "descriptors.binpb"
    done = buf("build", "-o", out, "--exclude-source-info", cwd=root)
    assert done.returncode == 0, done.stderr
    return out


def changed(root: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of proto/ in which one place of a file is another."""
    proto_at(root)
    path = root / "proto" / "quorate" / "v1" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return root


RENEW = "  rpc Renew(RenewRequest) returns (RenewResponse);\n"
BREAKING = {
    "a field is gone and not reserved": (FEDERATION, "  string kept = 1;\n", "", "without reserving"),
    "a field is gone and only its number is reserved": (
        FEDERATION, "  string kept = 1;\n", "  reserved 1;\n", 'without reserving the name "kept"',
    ),
    "a field has another name": (FEDERATION, "string kept = 1", "string held = 1", "name"),
    "a field has another number": (FEDERATION, "string kept = 1", "string kept = 9", '"1"'),
    "a field has another type": (FEDERATION, "int64 number = 2", "uint64 number = 2", "type"),
    "a field of bytes was of text": (FEDERATION, "string kept = 1", "bytes kept = 1", "type"),
    "a field comes many times": (FEDERATION, "int64 number = 2", "repeated int64 number = 2", "cardinality"),
    "a field comes once": (FEDERATION, "repeated string many = 3", "string many = 3", "cardinality"),
    "a field can be absent": (FEDERATION, "int64 number = 2", "optional int64 number = 2", "cardinality"),
    "a field left its oneof": (
        FEDERATION, "    string right = 5;\n  }\n", "  }\n  string right = 5;\n", "oneof",
    ),
    "a oneof has another name": (FEDERATION, "oneof choice", "oneof choices", "oneof"),
    "a value of an enum is gone": (FEDERATION, "  COLOUR_RED = 1;\n", "", "without reserving"),
    "a value of an enum has another name": (FEDERATION, "COLOUR_RED = 1", "COLOUR_BLUE = 1", "name"),
    "a value of an enum has another number": (FEDERATION, "COLOUR_RED = 1", "COLOUR_RED = 2", '"1"'),
    "a message has another name": (FEDERATION, "message Old {", "message New {", '"Old"'),
    "an enum has another name": (
        FEDERATION, OLD[OLD.index("enum") :], "enum Shade {\n  SHADE_UNSPECIFIED = 0;\n  SHADE_RED = 1;\n}\n",
        '"Colour"',
    ),
    "a method is gone": (FEDERATION, RENEW, "", '"Renew"'),
    "a method has another request": (
        FEDERATION, "RenewRequest) returns (RenewResponse)", "Old) returns (RenewResponse)", "request type",
    ),
    "a method has another response": (FEDERATION, "returns (RenewResponse)", "returns (Old)", "response type"),
    "a method streams its answers": (
        FEDERATION, "returns (RenewResponse)", "returns (stream RenewResponse)", "server",
    ),
    "a method streams its requests": (
        FEDERATION, "rpc Renew(RenewRequest", "rpc Renew(stream RenewRequest", "client",
    ),
    "a service has another name": (
        FEDERATION, "service FederationService", "service NodeService", '"FederationService"',
    ),
    "a number that was reserved is free": (STATISTICS, "  reserved 6;\n", "", "reserved"),
    "a file is of another package": (STATISTICS, "package quorate.v1;", "package quorate.v2;", "package"),
}  # fmt: skip


@pytest.mark.parametrize("case", BREAKING)
def test_a_change_that_breaks_a_peer_is_refused(before: Path, tmp_path: Path, case: str) -> None:
    file, old, new, said = BREAKING[case]
    done = buf("breaking", "--against", before, cwd=changed(tmp_path, file, old, new))
    assert done.returncode == 100, done.stdout + done.stderr
    assert said in done.stdout


KEPT = {
    "a new field": (FEDERATION, "string kept = 1;", "string kept = 1;\n  string newer = 6;"),
    "a field that is gone and reserved": (
        FEDERATION, "  string kept = 1;\n", '  reserved 1;\n  reserved "kept";\n',
    ),
    "a new value of an enum": (FEDERATION, "COLOUR_RED = 1;", "COLOUR_RED = 1;\n  COLOUR_BLUE = 2;"),
    "a new message": (FEDERATION, "message Old {", "message New {}\n\nmessage Old {"),
    "a new method": (FEDERATION, RENEW, RENEW + "  rpc Wait(Old) returns (Old);\n"),
    "another comment": (STATISTICS, "// Local days, ISO 8601, both included.", "// Days."),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_a_change_that_older_peers_do_not_see_is_let_through(before: Path, tmp_path: Path, case: str) -> None:
    done = buf("breaking", "--against", before, cwd=changed(tmp_path, *KEPT[case]))
    assert done.returncode == 0, done.stdout + done.stderr


NAMES = {
    "a package without a version": ("package quorate.v1;", "package quorate;", "version"),
    "a value of an enum in lower case": ("COLOUR_RED", "COLOUR_red", "UPPER_SNAKE_CASE"),
    "a value of an enum without its prefix": ("COLOUR_RED", "RED", "prefix"),
    "a zero that means something": ("COLOUR_UNSPECIFIED", "COLOUR_NONE", "suffix"),
    "a field in capitals": ("string kept", "string Kept", "lower_snake_case"),
    "a message in lower case": ("message Old", "message old", "PascalCase"),
    "a request of another name": ("RenewLeaseRequest)", "Old)", "RenewLeaseRequest"),
    "a response of another name": ("returns (RenewLeaseResponse)", "returns (Old)", "RenewLeaseResponse"),
    "a service without the word": ("service FederationService", "service Federation", "Service"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_name_that_is_not_of_the_rules_is_refused(tmp_path: Path, case: str) -> None:
    old, new, said = NAMES[case]
    done = buf("lint", cwd=changed(tmp_path, FEDERATION, old, new))
    assert done.returncode == 100, done.stdout + done.stderr
    assert said in done.stdout


def test_the_names_of_proto_are_of_the_rules() -> None:
    done = buf("lint", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("place", sorted(HERE.glob("v*")), ids=lambda place: place.name)
def test_nothing_that_a_recorded_version_says_has_changed(place: Path) -> None:
    done = buf("breaking", "--against", place / "descriptors.binpb", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
