"""What a declaration takes, and what it means where something is left out."""

from __future__ import annotations

import pytest

from rheo_assets import Application, NOOPCompute, SignalIntegrityProtocol
from rheo_assets.errors import DeclarationError
from rheo_assets.model.datasets import SUCCESS

pytestmark = pytest.mark.fast

OURS = SignalIntegrityProtocol("FILE_CHECK", {"file": "DONE"})


@pytest.mark.parametrize("name", ["protocol", "execution_hook", "pending_node_hook"])
def test_none_is_the_default_of_what_rheoceros_takes_none_for(name):
    app = Application("app")
    n = app.create_data("n", compute_targets=[NOOPCompute], **{name: None})
    assert n.protocol == SUCCESS
    assert name not in n.metadata


def test_a_patch_with_none_puts_the_default_back():
    app = Application("app")
    app.create_data("n", compute_targets=[NOOPCompute], protocol=OURS)
    assert app.patch_data("n", description="counts").protocol == OURS
    assert app.patch_data("n", protocol=None).protocol == SUCCESS


@pytest.mark.parametrize("name", ["execution_hook", "pending_node_hook"])
def test_a_hook_is_refused_until_it_is_served(name):
    with pytest.raises(DeclarationError, match=f"has no argument '{name}'. Hooks come with a later release"):
        Application("app").create_data("n", compute_targets=[NOOPCompute], **{name: object()})
