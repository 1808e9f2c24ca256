"""P4: what importing costs, against `import dagster`.

Measured: the CPU seconds (user and system, all threads) of a fresh interpreter that runs one import statement and ends,
less those of an interpreter that runs none; the median of seven processes each, the statements taken in turns so that a
busy machine hurts all alike. Control: `import dagster`. Reach: 1.05 of it for `import rheo_assets` and for
`from rheo_assets import Application`. Checked first: neither loads boto3, pyspark, pandas or duckdb.

    python benchmarks/p4_import.py        # about half a minute
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from statistics import median

HEAVY = ("boto3", "pyspark", "pandas", "duckdb")
CONTROL = "import dagster"
OURS = ("import rheo_assets", "from rheo_assets import Application")
ROUNDS, RATIO = 7, 1.05


def cpu_of(statement: str) -> float:
    """Returns the CPU seconds of a process that runs one statement."""
    child = subprocess.Popen([sys.executable, "-c", statement])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, statement
    return usage.ru_utime + usage.ru_stime


def heavy_packages(statement: str) -> list[str]:
    code = f"{statement}; import json, sys; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(found.stdout)
    return names


def main() -> int:
    for statement in OURS:
        assert not (loaded := heavy_packages(statement)), f"{statement} loads {loaded}"
    print(f"P4 import: none of {', '.join(HEAVY)} is loaded")
    statements = ("pass", CONTROL, *OURS)
    for statement in statements:
        cpu_of(statement)  # byte code and file cache
    seconds: dict[str, list[float]] = {statement: [] for statement in statements}
    for _ in range(ROUNDS):
        for statement in statements:
            seconds[statement].append(cpu_of(statement))
    empty = median(seconds["pass"])
    control = median(seconds[CONTROL]) - empty
    print(f"   {CONTROL}: {control:.3f} s CPU (median of {ROUNDS}, without the interpreter's {empty:.3f} s)")
    reached = True
    for statement in OURS:
        ours = median(seconds[statement]) - empty
        reached &= ours <= RATIO * control
        print(f"   {statement}: {ours:.3f} s CPU; ours / theirs = {ours / control:.2f}")
    print(f"   reach: {RATIO} of {CONTROL}: {'yes' if reached else 'NO'}")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
