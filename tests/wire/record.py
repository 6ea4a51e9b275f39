"""Record what this version says on the wire: python -m tests.wire.record (see docs/wire.md).

Writes tests/wire/v<major>.<minor>/ of the version in pyproject.toml. What a released version said is never recorded
again: it is what its peers still say.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

from google.protobuf import __file__ as protobuf_file
from google.protobuf import json_format
from grpc_tools import protoc

from tests.wire.examples import contribution, digests, documents, filled, message_types, statement

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PROTO = ROOT / "proto"
_HEADING = re.compile(r"^## (\d+\.\d+)\.\d+ – (.+)$", re.MULTILINE)


def current() -> str:
    """Return major.minor of the version that this source is of."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return ".".join(str(version).split(".")[:2])


def released(changelog: str) -> frozenset[str]:
    """Return major.minor of every version that the changelog gives a date."""
    found = _HEADING.findall(changelog)
    if not found:
        sys.exit("error: CHANGELOG.md has no heading like '## 0.1.0 – unreleased'")
    return frozenset(version for version, date in found if date != "unreleased")


def directory(version: str) -> Path:
    """Return where a version is recorded."""
    return HERE / f"v{version}"


def recording() -> dict[str, bytes]:
    """Return every file of a recording by its name."""
    files = {"descriptors.binpb": descriptors()}
    for message in message_types():
        example = filled(message)
        files[f"messages/{message.full_name}.binpb"] = example.SerializeToString(deterministic=True)
        values = json_format.MessageToDict(example, preserving_proto_field_name=True)
        files[f"messages/{message.full_name}.json"] = _json(values)
    found = documents()
    files |= {f"documents/{name}.json": data for name, data in found.items()}
    files["documents/digests.txt"] = "".join(f"{d}  {n}\n" for n, d in digests(found).items()).encode()
    files["documents/contribution.arrow"] = contribution()
    files["documents/statement.binpb"] = statement(found["order"]).SerializeToString(deterministic=True)
    return files


def descriptors() -> bytes:
    """Return the descriptor set of proto/, without comments."""
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    includes = [f"-I{PROTO}", f"-I{Path(protobuf_file).parent.parent.parent}"]
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "descriptors.binpb"
        if (
            protoc.main(["protoc", *includes, f"--descriptor_set_out={out}", "--include_imports", *files])
            != 0
        ):
            sys.exit("error: protoc refused the .proto files (its message is above)")
        return out.read_bytes()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def write(version: str, past: frozenset[str], place: Path) -> int:
    """Write the recording of a version that is not released; return the number of files."""
    if version in past:
        sys.exit(
            f"error: {version} is released, so what it says on the wire is not recorded again\n"
            "  what to do: raise the version in pyproject.toml, give it a heading in CHANGELOG.md, and record that"
        )
    files = recording()
    shutil.rmtree(place, ignore_errors=True)
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return len(files)


def main() -> None:
    """Record the version of this source."""
    version, changelog = current(), (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    count = write(version, released(changelog), directory(version))
    sys.stdout.write(f"wire: {count} files of version {version} are recorded\n")


if __name__ == "__main__":
    main()
