"""`python -m pytest_pipeline.sandbox prove`: the proof that every row looks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_pipeline.sandbox.prove import prove


def main() -> int:
    """Run the proof, and return its exit status: 0 when everything is proven."""
    parser = argparse.ArgumentParser(prog="python -m pytest_pipeline.sandbox")
    commands = parser.add_subparsers(required=True)
    proof = commands.add_parser("prove", help="show that each row goes red on its own faults, and on nothing else")
    proof.add_argument("--phase", type=int, choices=range(1, 7), help="only the rows of one phase")
    proof.add_argument("--fault", action="append", metavar="ID", help="only this fault or healthy world (repeatable)")
    proof.add_argument("--jobs", type=int, default=2, metavar="N", help="scenarios at a time (default: 2)")
    proof.add_argument("--write", type=Path, metavar="FILE", help="write the detection table to FILE as Markdown too")
    given = parser.parse_args()
    return prove(phase=given.phase, only=given.fault or (), jobs=given.jobs, write=given.write)


if __name__ == "__main__":
    sys.exit(main())
