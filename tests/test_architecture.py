import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "adapters", "storage")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
PROTOCOLS = ("http", "coap", "mqtt")
VENDORS = ("thingsboard", "mainflux", "magistrala", "enos", "xively", "emqx", "goauth", "mosquitto", "rabbitmq", "vernemq")

# What of the standard library the core may use: values and pure functions, nothing that waits, reads, writes or draws.
PURE = frozenset(
    {
        "base64",
        "binascii",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",  # what certificates say; what time it is, the clock port says
        "enum",
        "functools",
        "hashlib",
        "hmac",
        "ipaddress",
        "itertools",
        "math",
        "operator",
        "re",
        "string",
        "types",
        "typing",
        "unicodedata",
    }
)
SHARED = ("core", "msgspec", "adapters.exchange")

# What a place may import beside the standard library and itself. The longest prefix that fits a module counts.
ALLOWED: dict[str, tuple[str, ...]] = {
    "core": ("core", "msgspec"),
    "core.crypto": ("core", "msgspec", "cryptography", "jwt"),
    "storage": ("core", "msgspec", "aiosqlite", "asyncpg"),
    "adapters.exchange": ("core", "msgspec"),
    "adapters.router": SHARED,
    "adapters.owned": (),
    "adapters.single_use": ("core",),
    "adapters.facing": (*SHARED, "adapters.router"),
    "adapters.watching": SHARED,
    "adapters.attending": (*SHARED, "adapters.watching", "structlog"),
    "adapters.answering": (
        *SHARED,
        "adapters.attending",
        "adapters.facing",
        "adapters.kept_answers",
        "adapters.owned",
        "adapters.repeating",
        "adapters.router",
        "adapters.watching",
        "structlog",
    ),
    "adapters.kept_answers": SHARED,
    "adapters.metered": (*SHARED, "structlog"),
    "adapters.repeating": (*SHARED, "adapters.kept_answers", "cbor2"),
    "adapters.replicas": (*SHARED, "adapters.kept_answers", "adapters.repeating", "adapters.watching", "structlog"),
    "adapters.dialects": (*SHARED, "adapters.dialects"),
    "adapters.dialects.enos": (*SHARED, "adapters.dialects", "cbor2"),
    "adapters.dialects.device_api": (*SHARED, "adapters.dialects", "cbor2"),
    "adapters.dialects.mainflux": (*SHARED, "adapters.dialects", "cbor2"),
    "adapters.dialects.thingsboard_protobuf": (*SHARED, "google.protobuf"),
    "adapters.tls": (*SHARED, "OpenSSL", "cryptography", "structlog"),
    "adapters.proxying": (*SHARED, "structlog"),
    "adapters.http": (*SHARED, "adapters.proxying", "adapters.tls", "aiohttp"),
    "adapters.authorities": (*SHARED, "aiohttp", "cryptography", "structlog"),
    "adapters.hooks": (*SHARED, "adapters.dialects.moments", "aiohttp", "structlog"),
    "adapters.coap": (*SHARED, "adapters.proxying", "adapters.tls", "aiocoap", "cryptography", "OpenSSL"),
    "adapters.mqtt": (*SHARED, "adapters.proxying", "adapters.tls", "structlog"),
    "adapters.brokers": (
        *SHARED,
        "adapters.brokers",
        "adapters.watching",
        "aiomqtt",
        "aiohttp",
        "paho",
        "structlog",
    ),
}
# The composition: what binds everything to everything. Only the first two open the registry.
COMPOSITION = (
    "adapters.app",
    "adapters.authority_work",
    "adapters.bootstrap_key",
    "adapters.broker_cautions",
    "adapters.broker_work",
    "adapters.cli",
    "adapters.__main__",
    "adapters.commands",
    "adapters.config",
    "adapters.demo",
    "adapters.keys",
    "adapters.layout",
    "adapters.listeners",
    "adapters.logs",
    "adapters.metrics",
    "adapters.opening",
    "adapters.own_addresses",
    "adapters.pages",
    "adapters.serving",
    "adapters.settings",
    "adapters.spoken",
    "adapters.system",
    "adapters.tls_cautions",
    "adapters.upkeep",
    "adapters.use_cases",
)
OPENS_THE_REGISTRY = (
    "adapters.app",
    "adapters.cli",
    "adapters.opening",
    "adapters.upkeep",
    # These work on a database themselves, beside the gateway or in its place.
    *(f"adapters.commands.{name}" for name in ("backup", "copy", "key", "migrate", "restore")),
)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield what a file imports, as full module names; `from a import b` counts as `a.b`, which may be a module too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def rule_of(module: str) -> str | None:
    return max((place for place in ALLOWED if within(module, (place,))), key=len, default=None)


def strangers(module: str, names: Iterator[str]) -> list[str]:
    """Return what a module imports and must not."""
    place = rule_of(module)
    if place is None:
        return [name for name in names if within(name, ("storage",)) and not within(module, OPENS_THE_REGISTRY)]
    permitted = (*ALLOWED[place], place)
    return [name for name in names if not is_standard(name) and not within(name, permitted)]


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", FILES, ids=ids(FILES))
def test_a_file_imports_only_what_its_place_may(path: Path) -> None:
    module = module_of(path)
    assert rule_of(module) is not None or within(module, COMPOSITION) or module == "adapters", f"{module} has no place"
    assert strangers(module, imports(tree_of(path))) == []


@pytest.mark.parametrize("path", FILES, ids=ids(FILES))
def test_imports_are_absolute(path: Path) -> None:
    assert [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom) and node.level] == []


@pytest.mark.parametrize("path", FILES, ids=ids(FILES))
def test_a_file_says_what_belongs_in_it(path: Path) -> None:
    assert ast.get_docstring(tree_of(path))


def test_nothing_below_the_composition_imports_it() -> None:
    offenders = [
        (module_of(path), name)
        for path in FILES
        if not within(module_of(path), COMPOSITION)
        for name in imports(tree_of(path))
        if within(name, COMPOSITION)
    ]
    assert offenders == []


CORE = [path for path in FILES if within(module_of(path), ("core",))]


@pytest.mark.parametrize("path", CORE, ids=ids(CORE))
def test_the_core_is_pure(path: Path) -> None:
    standard = {name.partition(".")[0] for name in imports(tree_of(path)) if is_standard(name)}
    assert standard <= PURE


FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def docstrings(tree: ast.Module) -> set[int]:
    """Return the ids of the nodes that are docstrings, those that follow a constant included."""
    bodies = [parent.body for parent in ast.walk(tree) if isinstance(parent, ast.Module | ast.ClassDef | FUNCTIONS)]
    return {id(node.value) for body in bodies for node in body if isinstance(node, ast.Expr)}


def words(tree: ast.Module) -> Iterator[str]:
    """Yield every name and every text of the code, without its docstrings and comments."""
    described = docstrings(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in described:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name):
                yield name
            case _:
                pass


@pytest.mark.parametrize("path", CORE, ids=ids(CORE))
def test_the_core_knows_no_vendor(path: Path) -> None:
    spoken = "\n".join(words(tree_of(path))).lower()
    assert [vendor for vendor in VENDORS if vendor in spoken] == []


CARRIERS = [path for path in FILES if within(module_of(path), tuple(f"adapters.{name}" for name in PROTOCOLS))]


@pytest.mark.parametrize("path", CARRIERS, ids=ids(CARRIERS))
def test_a_protocol_names_no_vendor_at_all(path: Path) -> None:
    text = path.read_text("utf-8").lower()
    assert [vendor for vendor in VENDORS if vendor in text] == []


def test_the_rule_finds_what_it_is_for() -> None:
    """Show that each kind of offence is caught."""
    offences = {
        "core.provision": "from cryptography.exceptions import InvalidTag",
        "core.crypto.vault": "import aiohttp",
        "storage.memory": "from adapters import exchange",
        "adapters.router": "from adapters.dialects import thingsboard",
        "adapters.dialects.thingsboard": "from google.protobuf import message",
        "adapters.http.server": "from adapters.coap import server",
        "adapters.coap.server": "import aiohttp",
        "adapters.mqtt.server": "import aiomqtt",
        "adapters.answering": "from adapters import app",
        "adapters.commands.device": "from storage import open_repository",
    }
    for module, line in offences.items():
        assert strangers(module, imports(ast.parse(line))), f"{module}: {line}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_top_level_name_is_this_projects(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / package / "__init__.py"


def test_the_http_of_the_standard_library_is_not_shadowed() -> None:
    assert importlib.import_module("http").__file__ != str(ROOT / "adapters" / "http" / "__init__.py")


def test_every_package_folder_has_an_init_file_and_no_test_folder_has() -> None:
    folders = {path.parent for path in FILES}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


def test_no_test_folder_shadows_a_module() -> None:
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()}
    assert not folders & {"http", "json", "logging", "types"}
