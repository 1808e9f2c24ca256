"""Runs the executions that one injected event causes, and waits for them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import wait

from rheo_assets.bridge.loop.session import LOOK_EVERY, Session
from rheo_assets.model.executions import Execution
from rheo_assets.routing.entries import Trigger


def run_caused(session: Session, identity: str) -> list[Execution]:
    """Starts the executions that an event completes, waits for them, and returns them; beside a daemon none."""
    caused: dict[str, Trigger] = {}

    def is_caused(trigger: Trigger) -> bool:
        if not trigger.is_caused_by(identity):
            return False
        caused[trigger.execution_id(session.binding.application)] = trigger
        return True

    session.resume()
    session.turn(only=is_caused)
    while not (session.is_passive() or session.is_paused()):
        with session.driver.lock:
            session.driver.fold()
            outbox = [t for t in session.driver.router.outbox() if is_caused(t)]
        if not outbox:
            break
        ids = [trigger.execution_id(session.binding.application) for trigger in outbox]
        here = [future for i in ids if (future := session.runs.future(i)) is not None]
        if here:
            wait(here)
        else:
            time.sleep(LOOK_EVERY)
            session.turn(only=is_caused)
    return _ended_of(session, caused)


def _ended_of(session: Session, triggers: Mapping[str, Trigger]) -> list[Execution]:
    """Returns those executions that have ended, in the order in which they were asked for."""
    found: list[Execution] = []
    for identity, trigger in triggers.items():
        node = session.binding.topology.data_nodes.get(trigger.node)
        if node is not None:
            found += session.history.ended_as(node, {trigger.partition: identity}).values()
    return found
