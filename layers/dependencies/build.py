"""Builds a layer of third-party code: a hashed lock, installed for one architecture, trimmed and compiled.

The layer beside this file, and those of training and of documents (`layers/training` and `layers/documents` link here),
which have locks of their own.

`sam build` runs it through the Makefile beside it; the local stack calls it for the host's own architecture.
Nothing here needs more than the standard library and either uv or pip.
"""

import argparse
import ast
import compileall
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).absolute().parent

# The AWS services the functions call; the models of all others (some 20 MB) stay out.
SERVICES = frozenset(
    {"dynamodb", "events", "kms", "lambda", "s3", "secretsmanager", "sesv2", "sqs", "stepfunctions", "sts"}
)
# What botocore's endpoint data calls those of them that have another name there.
ENDPOINT_PREFIXES = frozenset({"email", "states", "streams.dynamodb"})
# Families of stripe objects, imported one module at a time when an answer holds one: their bytecode is not worth its
# size, and the modules stay because what an answer may hold is Stripe's to say.
SELDOM = re.compile(
    r"/stripe/(events|issuing|treasury|terminal|test_helpers|identity|radar|climate|financial_connections)/"
)
# Of Stripe's API v2 we read events; the rest of what stands here is imported whatever one does. Answers of API v1 name
# no object of v2, and of v1 everything stays.
STRIPE_V2 = frozenset(
    {
        "__init__",
        "_amount",
        "_core_service",
        "_deleted_object",
        "_list_object",
        "_search_result_object",
        "core/__init__",
        "core/_event",
        "core/_event_service",
    }
)
# Trees no function ever imports.
JUNK_DIRECTORIES = frozenset({"__pycache__", "tests", "test", "bin"})
JUNK_SUFFIXES = (
    ".pyi",
    ".pyx",
    ".pxd",
    ".c",
    ".h",
    ".typed",
    ".a",
    ".md",
    ".rst",
    "examples-1.json",
    "examples-1.json.gz",
)
# What the packages bring and nothing here imports at run time. That nothing which stays needs it to be imported is
# checked at the end of each build; that no code of ours asks for it, by tests/architecture/test_layers.py.
UNUSED = (
    # Parameter types, for type checkers.
    "stripe/params",
    # Yesterday's models, and a plugin for type checkers.
    "pydantic/v1",
    "pydantic/mypy.py",
    # Pages for browsers.
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/swagger-ui-bundle.min.js",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/swagger-ui.min.css",
    # Of Powertools we have the Logger and the resolver of the HTTP API, which bring data_classes with them. Batches,
    # idempotence and settings are the table's and `platform`'s.
    "aws_lambda_powertools/utilities/auth_alpha",
    "aws_lambda_powertools/utilities/batch",
    "aws_lambda_powertools/utilities/circuit_breaker",
    "aws_lambda_powertools/utilities/data_masking",
    "aws_lambda_powertools/utilities/feature_flags",
    "aws_lambda_powertools/utilities/idempotency",
    "aws_lambda_powertools/utilities/kafka",
    "aws_lambda_powertools/utilities/parameters",
    "aws_lambda_powertools/utilities/parser",
    "aws_lambda_powertools/utilities/streaming",
    "aws_lambda_powertools/utilities/validation",
    "aws_lambda_powertools/event_handler/middlewares/schema_validation.py",
    # For the asynchronous clients of httpx and Stripe. Our requests are synchronous, and both are made to do without.
    "anyio",
    "httpcore/_backends/anyio.py",
    # Probing the domain of a mail address, which we do not.
    "dns",
    "email_validator/deliverability.py",
    "email_validator/__main__.py",
    # They stand on the botocore that is used without them (Lambda brings its own, should a function ever ask).
    "boto3",
    "s3transfer",
    # A second set of binaries on x86-64, for batches of texts (`process.cdist`). Two texts at a time, which is how
    # people are compared, are as fast without: 0.95 to 1.01 of the time. Wheels for arm64 have one set.
    "rapidfuzz/fuzz_cpp_avx2.*.so",
    "rapidfuzz/distance/metrics_cpp_avx2.*.so",
    # For those who freeze programs.
    "rapidfuzz/__pyinstaller",
)
# What fitting a logistic regression never imports. With the other layers the trainer stays below Lambda's 250 MB.
UNUSED_IN_TRAINING = (
    "scipy/cluster",
    "scipy/datasets",
    "scipy/io",
    "scipy/misc",
    "scipy/odr",
    "scipy/signal",
    "scipy/special/_precompute",
    "sklearn/cluster",
    "sklearn/conftest.py",
    "sklearn/datasets",
    "sklearn/decomposition",
    "sklearn/ensemble",
    "sklearn/experimental",
    "sklearn/feature_selection",
    "sklearn/impute",
    "sklearn/inspection",
    "sklearn/manifold",
    "sklearn/mixture",
    "sklearn/neighbors",
    "sklearn/semi_supervised",
    "sklearn/tree",
    "sklearn/utils/_test_common",
    "sklearn/utils/estimator_checks.py",
)
# What printing a form never touches: images (a form has none), and of the fonts all but two faces.
UNUSED_IN_DOCUMENTS = (
    "PIL",
    "pillow.libs",
    "defusedxml",
    "pymupdf_fonts/[A-EG-Z]*.py",
    "pymupdf_fonts/FiraMono_*.py",
    "pymupdf_fonts/FiraGO_*Italic.py",
)
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}


def find_uv() -> str | None:
    """A uv that runs: named by UV, beside this Python, or on the path (where it may be a shim that does not)."""
    for candidate in (os.environ.get("UV"), str(Path(sys.executable).with_name("uv")), shutil.which("uv")):
        if candidate and Path(candidate).exists() and _runs(candidate):
            return candidate
    return None


def _runs(program: str) -> bool:
    return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0


def install(target: Path, architecture: str, lock: Path) -> None:
    """Installs the lock into `target` (wheels only, hashes checked) with uv, or with pip where uv is absent.

    Raises subprocess.CalledProcessError with the installer's own words on stderr.
    """
    uv = find_uv()
    machine = MACHINES.get(architecture)
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python-version", "3.13", "--no-deps", "--link-mode", "copy"]
        command += ["--require-hashes", "--only-binary", ":all:", "--target", str(target), "--requirements", str(lock)]
        command += ["--python-platform", f"{machine}-manylinux_2_28"] if machine else ["--python", sys.executable]
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--only-binary=:all:", "--target", str(target), "--requirement", str(lock)]
        if machine:
            command += ["--implementation", "cp", "--python-version", "3.13"]
            command += [f"--platform={tag}_{machine}" for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    subprocess.run(command, check=True)


def trim(target: Path) -> None:
    """Removes what Lambda never reads: other services' models, what nothing imports, tests, type stubs, installer
    records."""
    _trim_services(target)
    for pattern in (*UNUSED, *UNUSED_IN_TRAINING, *UNUSED_IN_DOCUMENTS):
        for path in list(target.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    for directory, names, files in os.walk(target, topdown=True):
        for name in [name for name in names if name in JUNK_DIRECTORIES]:
            shutil.rmtree(Path(directory) / name)
            names.remove(name)
        # Of an installer's record only the headers of METADATA are read (a package asking for another's version).
        record = directory.endswith(".dist-info")
        # Short numbers (emergency, premium) of each country, read only when one is asked about.
        short_numbers = directory.endswith("phonenumbers/shortdata")
        for name in files:
            path = Path(directory) / name
            if (
                (short_numbers and name.startswith("region_"))
                or name.endswith(JUNK_SUFFIXES)
                or (record and name != "METADATA")
            ):
                path.unlink()
            elif record:
                headers, _, _ = path.read_text().partition("\n\n")
                path.write_text(headers + "\n")


def _trim_services(target: Path) -> None:
    """Leaves the services of AWS, and the API of Stripe, that are used."""
    for data in (target / "botocore" / "data", target / "boto3" / "data"):
        for entry in data.iterdir() if data.exists() else ():
            if entry.is_dir() and entry.name not in SERVICES:
                shutil.rmtree(entry)
    endpoints = target / "botocore" / "data" / "endpoints.json"
    if endpoints.exists():
        trim_endpoints(endpoints)
    v2 = target / "stripe" / "v2"
    for path in list(v2.rglob("*.py")):
        if path.relative_to(v2).with_suffix("").as_posix() not in STRIPE_V2:
            path.unlink()


def trim_endpoints(path: Path) -> None:
    """Leaves the endpoints of the services used; botocore reads the whole file (1.2 MB) at every cold start."""
    data = json.loads(path.read_bytes())
    for partition in data["partitions"]:
        partition["services"] = {
            name: service
            for name, service in partition["services"].items()
            if name in SERVICES or name in ENDPOINT_PREFIXES
        }
    path.write_text(json.dumps(data, separators=(",", ":")))


def modules(target: Path) -> frozenset[str]:
    """The dotted name of every package, module and binary module under `target`."""
    found = set()
    for path in target.rglob("*"):
        if path.suffix in {".py", ".so"}:
            *parents, name = path.relative_to(target).parts
            stem = name.partition(".")[0]
            found.add(".".join(parents if stem == "__init__" else [*parents, stem]))
    return frozenset(found)


def check_imports(target: Path, gone: frozenset[str]) -> None:
    """Refuses a layer in which the import of a module that stays would fail for want of one that was taken out.

    Functions' own imports are not seen: they are the lazy doors of features, which our code uses or does not.
    Raises SystemExit naming both modules.
    """
    broken = []
    for path in sorted(target.rglob("*.py")):
        *parents, name = path.relative_to(target).with_suffix("").parts
        package = ".".join(parents)
        module = package if name == "__init__" else f"{package}.{name}".lstrip(".")
        wanted = gone.intersection(_imported(ast.parse(path.read_bytes()).body, package))
        broken += [f"{module} imports {each}, which is trimmed" for each in sorted(wanted)]
    if broken:
        raise SystemExit("\n".join([f"{target}: what stays needs what was taken out:", *broken]))


def _imported(statements: Sequence[ast.AST], package: str) -> Iterator[str]:
    """What running these statements imports for sure: not what only type checkers read, nor what may be missing."""
    for statement in statements:
        match statement:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: len(package.split(".")) + 1 - level] if level else []
                source = ".".join([*above, *([module] if module else [])])
                yield from (source, *(f"{source}.{each.name}" for each in names))
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=instead):
                yield from _imported(instead, package)
            case ast.Try(handlers=handlers, body=body, orelse=orelse, finalbody=last):
                if not any(_tolerates(handler.type) for handler in handlers):
                    yield from _imported(body, package)
                yield from _imported([*orelse, *last], package)
            case ast.With(items=items) if any(_tolerates(item.context_expr) for item in items):
                pass
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                pass
            case _:
                yield from _imported(list(ast.iter_child_nodes(statement)), package)


def _tolerates(caught: ast.AST | None) -> bool:
    """`except ImportError`, `suppress(ImportError)` and the like."""
    names = {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)} if caught else {"Exception"}
    return not names.isdisjoint({"ImportError", "ModuleNotFoundError", "Exception"})


def compile_bytecode(target: Path) -> None:
    """Compiles the modules; unchecked hashes, because unpacking a layer changes every file's time.

    Raises SystemExit if a module does not compile.
    """
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(
        target, quiet=1, rx=SELDOM, invalidation_mode=mode, stripdir=str(target), prependdir="/opt/python"
    ):
        raise SystemExit(f"{target}: some modules do not compile; see above.")


def build(target: Path, architecture: str, lock: Path) -> None:
    """Fills `target` (made anew) with the layer's `python` folder for `architecture` (arm64, x86_64 or host)."""
    if sys.version_info[:2] != (3, 13):
        raise SystemExit(
            f"The layer holds Python 3.13 bytecode; this is Python {platform.python_version()}. Run it with python3.13."
        )
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    install(target, architecture, lock)
    installed = modules(target)
    trim(target)
    check_imports(target, installed - modules(target))
    compile_bytecode(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", type=Path, required=True, help="the layer's python folder; made anew")
    parser.add_argument("--architecture", choices=[*MACHINES, "host"], default="arm64")
    parser.add_argument("--lock", type=Path, default=HERE / "requirements.txt", help="hashed requirements")
    arguments = parser.parse_args()
    build(arguments.target.absolute(), arguments.architecture, arguments.lock)


if __name__ == "__main__":
    main()
