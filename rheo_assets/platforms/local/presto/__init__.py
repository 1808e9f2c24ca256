"""The local Athena: Presto SQL answered by DuckDB, over the files of the local object store.

`syntax` parses the SQL, `analysis` gives each expression the type that Trino gives it, and `translation` writes it for
DuckDB by that type. `inputs` and `output` are the files, and `engine` runs it all. What DuckDB cannot answer as Athena
does is refused by name.
"""

from rheo_assets.platforms.local.presto.engine import PrestoEngine

__all__ = ["PrestoEngine"]
