"""A sample of the facts of Trino's own tests, where they are beside the repository."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[4]
FIELD = next((p / "shared" / "field" for p in REPOSITORY.parents if (p / "shared" / "field").is_dir()), None)
EVERY = 25  # all of them take minutes: the runner beside the facts does that


@pytest.mark.skipif(FIELD is None, reason="the facts are not beside the repository")
def test_a_sample_of_the_facts_is_answered_or_refused(tmp_path):
    facts = (FIELD / "trino-facts.jsonl").read_text(encoding="utf-8").splitlines()[::EVERY]
    sample = tmp_path / "facts.jsonl"
    sample.write_text("\n".join(facts) + "\n", encoding="utf-8")
    command = [sys.executable, FIELD / "run-trino-facts.py", REPOSITORY, sample, tmp_path / "results.jsonl"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", output.splitlines()[-1])}
    assert counts["right"] >= 0.78 * len(facts), output
    assert counts["wrong"] <= 6, output
    assert counts["accepts"] <= 6, output
    assert counts["crash"] <= 1, output
