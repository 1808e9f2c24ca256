"""The spellings of a value in a `name=value` folder."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheo_assets.errors import InvalidValue
from rheo_assets.model.datasets import Layout
from rheo_assets.model.dimensions import DimensionSpec
from rheo_assets.model.hive_folders import meaning, spellings

pytestmark = pytest.mark.fast

TIMES = DimensionSpec.of({"at": {"type": "DATETIME", "format": "%Y-%m-%d %H:%M:%S"}})


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_spelling_of_a_value_means_it(text: str) -> None:
    assert {meaning(spelling) for spelling in spellings(text)} == {text}


@pytest.mark.parametrize(
    "name", ["at=2024-03-01 05:00:00", "at=2024-03-01 05%3A00%3A00", "at=2024-03-01%2005%3A00%3A00"]
)
def test_a_time_is_read_from_a_folder_of_each_writer(name: str) -> None:
    layout = Layout("s3://b/logs", ("at={}",))
    (moment,) = layout.parse(TIMES, (name,))
    assert f"s3://b/logs/{name}" in layout.uris(TIMES, (moment,))
    with pytest.raises(InvalidValue, match="05%3A00"):
        Layout("s3://b/logs", ("{}",)).parse(TIMES, ("2024-03-01 05%3A00%3A00",))


@pytest.mark.parametrize("text", ["100%", "%41", "%zz", "%ff", "a%3ab"])
def test_a_percent_that_no_writer_makes_of_a_value_is_a_character(text: str) -> None:
    assert meaning(text) == text
