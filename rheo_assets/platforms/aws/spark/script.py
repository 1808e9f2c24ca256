"""The script of a job: the user's code as they wrote it, and two lines that run it."""

from __future__ import annotations

import ast
from typing import Final

from rheo_assets.runner.task import Task

_HEAD: Final = """\
# The {lang} code of node {node}, application {application}, target {position}.
# Written by rheo_assets: a change here is lost at the next execution. Change the declaration.

CODE = {code}

from rheo_assets.runner.remote import main

main(CODE)
"""


def job_script(task: Task) -> str:
    """Returns the Python script that a service runs for every execution of the task's target.

    It holds nothing of a single execution, so that all partitions of a node share one script.
    """
    return _HEAD.format(
        lang=task.lang,
        node=repr(task.node),  # in one line, whatever is in it
        application=repr(task.application),
        position=task.position,
        code=literal(task.code),
    )


def literal(text: str) -> str:
    r"""Returns a Python literal of the text, as readable as it can be: what it says is the text again.

    >>> print(literal("select *\nfrom orders"))
    r'''
    select *
    from orders
    '''[1:-1]
    """
    for quotes in ("'''", '"""'):
        shown = f"r{quotes}\n{text}\n{quotes}"
        try:
            if ast.literal_eval(shown) == f"\n{text}\n":
                return f"{shown}[1:-1]"
        except (SyntaxError, ValueError):
            continue
    return repr(text)
