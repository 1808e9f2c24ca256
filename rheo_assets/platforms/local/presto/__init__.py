"""The local Athena: Presto SQL answered by DuckDB, over the files of the local object store.

`dialect` reads the SQL, `functions` and `rewrites` turn it into DuckDB's, `inputs` and `output` are its files, and
`engine` runs it. What Athena has and this engine has not is refused by name, never guessed.
"""

from rheo_assets.platforms.local.presto.engine import PrestoEngine

__all__ = ["PrestoEngine"]
