"""Make the typed gRPC stubs of proto/, or check that the committed ones are what proto/ says."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from google.protobuf import __file__ as protobuf_file
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")


def generate(out: Path) -> None:
    """Write the stubs of every .proto file under proto/ into `out`."""
    # protoc finds mypy-protobuf's plugins on PATH; they live beside this interpreter.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    flags = ["--python_out", "--grpc_python_out", "--mypy_out", "--mypy_grpc_out"]
    includes = [f"-I{PROTO}", f"-I{Path(protobuf_file).parent.parent.parent}"]
    if protoc.main(["protoc", *includes, *(f"{flag}={out}" for flag in flags), *files]) != 0:
        sys.exit("error: protoc refused the .proto files (its message is above)")


def stubs(root: Path) -> dict[Path, bytes]:
    """Return the stubs below `root` by relative path."""
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.name.endswith(SUFFIXES)}


def main() -> None:
    """Generate in place, or compare with ``--check`` (exit code 1 on a difference)."""
    if "--check" not in sys.argv[1:]:
        generate(PROTO)
        return
    with tempfile.TemporaryDirectory() as name:
        generate(Path(name))
        fresh, committed = stubs(Path(name)), stubs(PROTO)
    wrong = sorted(str(p) for p in fresh.keys() | committed.keys() if fresh.get(p) != committed.get(p))
    if wrong:
        sys.exit(
            f"error: stubs differ from proto/: {', '.join(wrong)}\n  what to do: make stubs, and commit them"
        )
    sys.stdout.write(f"stubs: {len(fresh)} files are what proto/ says\n")


if __name__ == "__main__":
    main()
