"""Builds a layer of third-party code: a hashed lock, installed for one architecture, trimmed and compiled.

The layer beside this file, and that of training (`layers/training` links here), which has a lock of its own.

`sam build` runs it through the Makefile beside it; the local stack calls it for the host's own architecture.
Nothing here needs more than the standard library and either uv or pip.
"""

import argparse
import compileall
import json
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).absolute().parent

# The AWS services the functions call; the models of all others (some 20 MB) stay out.
SERVICES = frozenset({"dynamodb", "events", "lambda", "s3", "secretsmanager", "sesv2", "sqs", "stepfunctions", "sts"})
# What botocore's endpoint data calls those of them that have another name there.
ENDPOINT_PREFIXES = frozenset({"email", "states", "streams.dynamodb"})
# Families of stripe objects, imported one module at a time when asked for: their bytecode is not worth its size.
SELDOM = re.compile(
    r"/stripe/(events|issuing|treasury|terminal|test_helpers|identity|radar|climate|financial_connections)/"
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
# What the packages bring and nothing here imports at run time: stripe's parameter types are for type checkers,
# pydantic.v1 is for yesterday's models, the pages are for browsers, dns is for probing mail domains (we do not), boto3
# stands on the botocore that is used without it (Lambda brings its own, should a function ever ask).
UNUSED = (
    "stripe/params",
    "pydantic/v1",
    "pydantic/mypy.py",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/swagger-ui-bundle.min.js",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/swagger-ui.min.css",
    "aws_lambda_powertools/utilities/auth_alpha",
    "aws_lambda_powertools/utilities/circuit_breaker",
    "aws_lambda_powertools/utilities/idempotency",
    "aws_lambda_powertools/utilities/parser",
    "anyio/pytest_plugin.py",
    "dns",
    "boto3",
    "s3transfer",
)
# What fitting a logistic regression never imports. With the other layers the trainer stays below Lambda's 250 MB.
UNUSED_IN_TRAINING = (
    "scipy/cluster",
    "scipy/datasets",
    "scipy/io",
    "scipy/misc",
    "scipy/odr",
    "scipy/signal",
    "sklearn/cluster",
    "sklearn/datasets",
    "sklearn/decomposition",
    "sklearn/ensemble",
    "sklearn/neighbors",
    "sklearn/tree",
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
    """Removes what Lambda never reads: other services' models, tests, type stubs, installer records."""
    for data in (target / "botocore" / "data", target / "boto3" / "data"):
        for entry in data.iterdir() if data.exists() else ():
            if entry.is_dir() and entry.name not in SERVICES:
                shutil.rmtree(entry)
    endpoints = target / "botocore" / "data" / "endpoints.json"
    if endpoints.exists():
        trim_endpoints(endpoints)
    for name in (*UNUSED, *UNUSED_IN_TRAINING):
        path = target / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
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
    trim(target)
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
