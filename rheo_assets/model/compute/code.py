"""Source code as a value: inline, or read from a module of the user's package."""

from __future__ import annotations

import ast
import importlib.util
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

from rheo_assets.errors import DeclarationError, did_you_mean
from rheo_assets.model.compute.statements import split_statements
from rheo_assets.model.compute.vocabulary import Lang

_SCALA_NAME = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*")
_ENDINGS: Final[Mapping[Lang, tuple[str, ...]]] = {Lang.SCALA: (".jar",), Lang.PYTHON: (".zip", ".whl", ".egg")}
# Patterns that only Scala and only SQL have, for code that is not Python. They give a hint and are not a parser.
_SCALA: Final = re.compile(
    r"\bval\s+\w+|=>|\.as\[|^\s*import\s+(?:org|com|java|scala)\.|^\s*(?:case\s+class|object)\s+\w"
    r"|^\s*def\s+\w+[ \t]*(?:\[.*\])?[ \t]*(?:\(.*\))?[ \t]*(?::[ \t]*[A-Z][\w\[\], .]*)?[ \t]*=",
    re.MULTILINE,
)
_SQL: Final = re.compile(
    r"(?:\s|\(|--.*\n|/\*(?s:.*?)\*/)*(?:(?:select|create|insert)\s+[^\s=.]|with\s+(?:recursive\s+)?\w+\s*(?:\(.*\))?\s*as\s*\()",
    re.IGNORECASE,
)
_URI = re.compile(r"(s3|s3a|hdfs|file)://[^\s]*[^/\s]")


@dataclass(frozen=True, slots=True)
class Code:
    """Source text with its language and the libraries it needs.

    Attributes:
        text: The source.
        lang: The language; None if it is not known from the text.
        libraries: URIs or paths of jars (Scala) or of zips and wheels (Python).
    """

    text: str
    lang: Lang | None = None
    libraries: tuple[str, ...] = ()


def check_source(text: object, lang: str, where: str) -> None:
    """Raises for code that fails in every engine: Python that does not parse, SQL without a statement.

    Raises:
        DeclarationError: The code is not valid; the message names the line.
    """
    if not isinstance(text, str) or not text.strip():
        return  # `Batch` raises for it
    if lang == Lang.PYTHON:
        try:
            compile(text, "code", "exec", ast.PyCF_ONLY_AST)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            problem = f"its code is not Python: {getattr(error, 'msg', error)}{f' in line {line}' if line else ''}"
            raise DeclarationError(where, problem, _other_language(text)) from None
    elif lang in {Lang.SPARK_SQL, Lang.PRESTO_SQL} and not split_statements(text):
        raise DeclarationError(where, f"its SQL {text!r} has no statement", "Give the SELECT to write")


def reads_as_query(text: str) -> bool:
    """Returns whether a text given as Python looks like SQL: it starts like a query and does not assign `output`."""
    if _SQL.match(text) is None:
        return False
    try:
        compile(textwrap.dedent(text), "code", "exec", ast.PyCF_ONLY_AST)
    except (SyntaxError, ValueError):
        return True
    return "output" not in text  # `select -1` is valid Python, too


def _other_language(text: str) -> str:
    """Returns the remedy for code that is not Python."""
    if _SQL.match(text):
        return "It looks like SQL: use SparkSQL(…) or PrestoSQL(…)"
    if _SCALA.search(text):
        return "It looks like Scala: give lang=Lang.SCALA, or use scala_script(…)"
    return "Check the code with `python`"


def scala_script(
    code: str,
    entity: str | None = None,
    method: str | None = None,
    external_library_paths: Sequence[str] | None = None,
) -> Code:
    """Returns a Scala snippet; the value of its last expression, a DataFrame, is the output.

    Args:
        code: The snippet. It sees each input by its alias, and `spark`, `inputs`, `dimensions`, `args`.
        entity: An object that the snippet defines. If given, its `method` is called and returns the output.
        method: The method, called as by `scala_module`. The default is `main`.
        external_library_paths: Jars: `s3://…`, or local paths.

    Raises:
        DeclarationError: A name is not valid in Scala, or a library is not a path.
    """
    where = "scala_script"
    if method is not None and entity is None:
        raise DeclarationError(where, f"has a method {method!r} but no entity", "Give the object that has the method")
    text = code if entity is None else f"{code}\n{_call(where, entity, method or 'main')}"
    return Code(text, Lang.SCALA, _libraries(external_library_paths, Lang.SCALA, where))


def scala_module(
    class_path: str,
    external_library_paths: Sequence[str] | None = None,
    entity: str | None = None,
    method: str | None = None,
) -> Code:
    """Returns a call of compiled Scala code.

    The method is called as `method(spark: SparkSession, inputs: Map[String, DataFrame],
    dimensions: Map[String, String], args: Map[String, String]): DataFrame`.

    Args:
        class_path: The package, or the object with its package if `entity` is not given.
        external_library_paths: The jars with the code.
        entity: The object.
        method: The method. The default is `main`.

    Raises:
        DeclarationError: A name is not valid in Scala, or a library is not a path.
    """
    where = "scala_module"
    target = class_path if entity is None else f"{class_path}.{entity}"
    return Code(
        _call(where, target, method or "main"), Lang.SCALA, _libraries(external_library_paths, Lang.SCALA, where)
    )


def python_module(module_path: str, external_library_paths: Sequence[str] | None = None) -> Code:
    """Returns the source of a Python module as PySpark code. The module is read, not imported.

    Args:
        module_path: The dotted name, such as `features.daily`.
        external_library_paths: Zips or wheels that it imports.

    Raises:
        DeclarationError: The module does not exist, or has no Python source.
    """
    where = f"python_module({module_path!r})"
    spec = _found(module_path, where)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise DeclarationError(where, "is not a module with Python source", "Give the dotted name of a .py file")
    text = Path(spec.origin).read_text(encoding="utf-8")
    return Code(text, Lang.PYTHON, _libraries(external_library_paths, Lang.PYTHON, where))


def sql_module(module_root: str, file_name: str) -> Code:
    """Returns the text of an SQL file in a Python package.

    Args:
        module_root: The package's dotted name.
        file_name: The file in it, such as `daily.sql`.

    Raises:
        DeclarationError: The package or file does not exist; the message suggests similar names.
    """
    where = f"sql_module({module_root!r}, {file_name!r})"
    if not isinstance(file_name, str) or Path(file_name).name != file_name:
        raise DeclarationError(where, f"{file_name!r} is not a file name", "Name a file of the package itself")
    spec = _found(module_root, where)
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []
    if not folders:
        raise DeclarationError(where, f"there is no package {module_root!r}", "Give the dotted name of a package")
    for folder in folders:
        if (folder / file_name).is_file():
            return Code((folder / file_name).read_text(encoding="utf-8"))
    names = [file.name for folder in folders for file in folder.glob("*.sql")]
    raise DeclarationError(where, f"the package has no file {file_name!r}.{did_you_mean(file_name, names)}")


def _found(module: str, where: str) -> ModuleSpec | None:
    """Finds a module without importing it; its parent packages are imported."""
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError, TypeError, AttributeError) as error:
        raise DeclarationError(where, f"cannot be found: {error}", "Give the dotted name of a module") from None


def _call(where: str, target: str, method: str) -> str:
    for name in (target, method):
        if not isinstance(name, str) or not _SCALA_NAME.fullmatch(name):
            raise DeclarationError(where, f"{name!r} is not a name in Scala", "Write e.g. 'com.example.features.Daily'")
    return f"{target}.{method}(spark, inputs, dimensions, args)"


def _libraries(paths: Sequence[str] | str | None, lang: Lang, where: str) -> tuple[str, ...]:
    """Returns the libraries: URIs as given, local paths as absolute paths."""
    listed = () if paths is None else (paths,) if isinstance(paths, str) else paths
    if not isinstance(listed, list | tuple):
        raise DeclarationError(where, f"external_library_paths is {paths!r}", "Give a list of URIs or paths")
    return tuple(_library(path, lang, where) for path in listed)


def _library(path: object, lang: Lang, where: str) -> str:
    if not isinstance(path, str) or not path.strip():
        raise DeclarationError(where, f"external library {path!r}", "Give URIs or paths as strings")
    if Path(path).suffix.lower() not in _ENDINGS[lang]:
        endings = ", ".join(_ENDINGS[lang])
        raise DeclarationError(
            where, f"external library {path!r} is not one of {endings}", f"{lang} code accepts only these"
        )
    if _URI.fullmatch(path):
        return path
    if re.match(r"\w+:", path):
        raise DeclarationError(
            where, f"external library {path!r} cannot be fetched", "Write e.g. 's3://bucket/code.jar'"
        )
    return str(Path(path).absolute())
