"""The Glue Data Catalog: tables by database and name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from rheo_assets.errors import CapabilityMissing, DeclarationError, UnknownTable
from rheo_assets.platforms.aws.clients import Clients
from rheo_assets.platforms.aws.errors import error_code

_ABSENT: Final = "EntityNotFoundException"
_FORBIDDEN: Final = "AccessDeniedException"
_NAMES_SHOWN: Final = 1000


class GlueCatalog:
    """Answers for tables from the Glue Data Catalog of the account and region.

    Names do not tell upper from lower case, as in Glue.

    Args:
        clients: Opens the client of Glue.

    Attributes:
        asked: The tables that were found: `database.table`.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self.asked: set[str] = set()

    def table(self, database: str, name: str) -> Mapping[str, Any]:
        """Returns a table as Glue's `GetTable` describes it.

        Raises:
            UnknownTable: There is no such table; a `LookupError`.
            CapabilityMissing: The credentials may not ask for it.
            DeclarationError: A name that Glue does not take.
        """
        from botocore.exceptions import ClientError, ParamValidationError

        where = f"table '{database}.{name}'"
        try:
            with self._clients.explaining(where):
                answer = self._glue.get_table(DatabaseName=str(database).lower(), Name=str(name).lower())
        except ParamValidationError as error:
            raise DeclarationError(where, f"is no name of a Glue table: {error}") from None
        except ClientError as error:
            raise self._explained(error, database, name, where) from None
        table: Mapping[str, Any] = answer["Table"]
        self.asked.add(f"{str(database).lower()}.{str(name).lower()}")
        return table

    def _explained(self, error: Exception, database: str, name: str, where: str) -> Exception:
        code = error_code(error)
        if code == _ABSENT:
            return self._unknown(database, name)
        if code == _FORBIDDEN:
            return CapabilityMissing(
                f"{where}: these credentials may not read it. Allow glue:GetTable in IAM, and the table in Lake "
                "Formation where the account uses it"
            )
        if code in {"InvalidInputException", "ValidationException"}:
            return DeclarationError(where, "is no name that Glue takes")
        return error

    def _unknown(self, database: str, name: str) -> UnknownTable:
        from botocore.exceptions import ClientError

        catalog = f"the Glue Data Catalog in {self._clients.region}"
        remedy = "Correct the name, or the region or account of the application"
        tables = self._glue.get_paginator("get_tables").paginate(DatabaseName=database.lower())
        try:
            known = [table["Name"] for table in islice(_each(tables, "TableList"), _NAMES_SHOWN)]
        except ClientError:  # not even the database, or nobody may look
            databases = self._glue.get_paginator("get_databases").paginate()
            found = [each["Name"] for each in islice(_each(databases, "DatabaseList"), _NAMES_SHOWN)]
            return UnknownTable(f"{catalog} has no database '{database}'", database, sorted(found), remedy)
        subject = f"{catalog} has no table '{name}' in database '{database}'"
        return UnknownTable(subject, name, sorted(known), remedy)

    @property
    def _glue(self) -> Any:
        return self._clients.client("glue")


def _each(pages: Any, key: str) -> Any:
    return (found for page in pages for found in page[key])
