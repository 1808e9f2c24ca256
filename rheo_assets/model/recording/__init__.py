"""Records the declaration of an application as readable, versioned JSON, and rebuilds its nodes without the source.

A function of the declaration is a content-addressed blob beside the JSON, which contains its hash and its name.
"""

from rheo_assets.model.recording.document import VERSION, decode, encode, fingerprint
from rheo_assets.model.recording.functions import RecordedFunction
from rheo_assets.model.recording.nodes import dump_topology, load_topology

__all__ = ["VERSION", "RecordedFunction", "decode", "dump_topology", "encode", "fingerprint", "load_topology"]
