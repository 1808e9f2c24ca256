"""Hello World: one node without inputs, executed from a script.

python examples/hello_world.py
"""

import logging

import rheo_assets as flow
from rheo_assets import *

flow.init_basic_logging(root_level=logging.WARN)

app = flow.Application("hello-world")


def greet(inputs, output, params):
    """Runs in its own process, as it would on Lambda."""
    print("Hello World!")
    return {"greeting": "Hello World!"}


hello = app.create_data("hello", compute_targets=[InlinedCompute(greet)])

if __name__ == "__main__":
    app.execute(hello)
    path, records = app.poll(hello)
    assert path, records
    print(f"said hello; the node's folder is {path}")
