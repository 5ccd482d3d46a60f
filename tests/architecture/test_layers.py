"""The layer of third-party code is trimmed; what it still has to hold is shown here on the layer itself.

What stays and needs what was taken out to be imported fails the build (`check_imports`). Here: what our code imports,
and what vendors load late, is there. The programs run in a fresh interpreter that has the built layers and no site
packages, as Lambda has.
"""

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.architecture.source import PROJECT, Source, called, dotted, functions, package
from tests.bench.layers import Layers, built_layers

# In a layer of its own, which one function has; that it starts is shown where it is deployed.
OF_TRAINING = ("numpy", "scipy", "sklearn")
TRAINER = "train_scoring"
# The same of what prints forms.
OF_DOCUMENTS = ("fontTools", "fpdf", "pymupdf_fonts")
ENVIRONMENT = {
    "AWS_REGION": "eu-west-2",
    "AWS_DEFAULT_REGION": "eu-west-2",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "layers",
    "STAGE": "test",
    "TABLE_NAME": "layers",
    "SECRET_PREFIX": "layers/",
}

RESOLVE = """
import importlib

def there(module, name):
    found = importlib.import_module(module)
    if name and not hasattr(found, name):
        importlib.import_module(f"{module}.{name}")

missing = []
for place, module, name in json.loads(sys.stdin.read()):
    try:
        there(module, name)
    except ImportError as error:
        missing.append(f"{place}: {error}")
print(json.dumps(missing))
"""

START = """
import importlib, importlib.util, pkgutil, revops
for module in pkgutil.walk_packages(revops.__path__, "revops."):
    if not module.name.startswith(("revops.scoring.training", "revops.adapters.order_document")):
        importlib.import_module(module.name)
started = []
for path in json.loads(sys.stdin.read()):
    spec = importlib.util.spec_from_file_location("app", path)
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    started.append(callable(app.handler))
print(json.dumps(started))
"""

STRIPE = """
import stripe
from stripe._object_classes import OBJECT_CLASSES, get_object_class
from stripe.events._event_classes import _V2_EVENT_CLASS_LOOKUP, get_v2_event_class
client = stripe.StripeClient("none", base_addresses={"api": "http://127.0.0.1:9"}, max_network_retries=0,
                             http_client=stripe.RequestsClient(timeout=(1, 1)))
objects = [get_object_class("V1", name) for name in OBJECT_CLASSES]
events = [get_v2_event_class(name) for name in _V2_EVENT_CLASS_LOOKUP]
missing = []
for place, path in json.loads(sys.stdin.read()):
    found = client
    try:
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        missing.append(f"{place}: {error or path}")
try:
    client.v1.customers.list({"email": "a@example.com"})
except stripe.APIConnectionError:
    print(json.dumps({"objects": len(objects), "events": len(events), "missing": missing}))
"""

LATE = """
import zoneinfo
from rapidfuzz.distance import OSA, JaroWinkler
from rapidfuzz.fuzz import ratio, token_sort_ratio
scorers = {f.__module__ for f in (OSA.distance, JaroWinkler.similarity, ratio, token_sort_ratio)}

import phonenumbers
numbers = [region for region in phonenumbers.SUPPORTED_REGIONS
           if not phonenumbers.is_valid_number(phonenumbers.example_number(region))]

from email_validator import validate_email
mail = validate_email("ann@b\\u00fccher.example", check_deliverability=False).ascii_email

import httpx
try:
    httpx.Client(timeout=1).get("http://127.0.0.1:9/")
    web = "answered"
except httpx.ConnectError:
    web = "no connection"

import botocore.session
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
session = botocore.session.get_session()
session.set_credentials("local", "local")
calls = {"dynamodb": "list_tables", "events": "list_rules", "kms": "list_keys",
         "lambda": "list_functions", "s3": "list_buckets",
         "secretsmanager": "list_secrets", "sesv2": "get_account", "sqs": "list_queues",
         "stepfunctions": "list_state_machines", "sts": "get_caller_identity"}
answers = {}
for service in json.loads(sys.stdin.read()):
    real = session.create_client(service, region_name="eu-west-2")
    config = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
    client = session.create_client(service, region_name="eu-west-2", endpoint_url="http://127.0.0.1:9", config=config)
    client.exceptions
    try:
        getattr(client, calls[service])()
    except EndpointConnectionError:
        answers[service] = real.meta.endpoint_url

zoneinfo.reset_tzpath([])
print(json.dumps({
    "scorers": sorted(scorers), "numbers": numbers, "mail": mail, "web": web, "aws": answers,
    "zones": len(zoneinfo.available_timezones()), "zone": zoneinfo.ZoneInfo("Asia/Kathmandu").key,
}))
"""


@pytest.fixture(scope="module")
def layers() -> Layers:
    return built_layers()


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("layer_build", PROJECT / "layers" / "dependencies" / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_the_layers(layers: Layers, program: str, given: object) -> object:
    """What a program says, as JSON, of an interpreter that has nothing but the layers."""
    python = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run(
        [python, "-S", "-E", "-s", "-B", "-c", f"import json, sys\nsys.path[:0] = {layers.path()!r}\n{program}"],
        input=json.dumps(given),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said: object = json.loads(done.stdout.splitlines()[-1])
    return said


# -- what our code asks for -----------------------------------------------------------------------------------------


def at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker reads."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and dotted(node.test) == "TYPE_CHECKING":
        children = iter(node.orelse)
    for child in children:
        yield from at_run_time(child)


def third_party(sources: tuple[Source, ...]) -> Iterator[tuple[str, str, str]]:
    """Where, from which module, which name: every import of foreign code, also those inside functions, and every
    attribute of a module that is imported by its name."""
    known = sys.stdlib_module_names | {"revops", "functions", "app", *OF_TRAINING, *OF_DOCUMENTS}
    for source in sources:
        modules = set()
        nodes = list(at_run_time(source.tree))
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] not in known:
                yield from ((source.at(node, node.module), node.module, alias.name) for alias in node.names)
            if isinstance(node, ast.Import):
                foreign = [alias for alias in node.names if alias.name.partition(".")[0] not in known]
                yield from ((source.at(node, alias.name), alias.name, "") for alias in foreign)
                modules |= {alias.name for alias in foreign if alias.asname is None}
        for node in nodes:
            if isinstance(node, ast.Attribute) and dotted(node.value) in modules:
                yield source.at(node, dotted(node)), dotted(node.value), node.attr


def asked_of_stripe(sources: tuple[Source, ...]) -> Iterator[tuple[str, str]]:
    """Where, and what of Stripe's client: `v1.customers.list` of `self._client().v1.customers.list(…)`."""
    for source in sources:
        for node in source.walk(ast.Attribute) if "stripe" in source.module else ():
            path = [node.attr]
            inner = node.value
            while isinstance(inner, ast.Attribute) and path[0] not in ("v1", "v2"):
                path.insert(0, inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in ("v1", "v2"):
                path.insert(0, inner.id)
            if path[0] in ("v1", "v2"):
                yield source.at(node, ".".join(path)), ".".join(path)


def asked_of_aws(sources: tuple[Source, ...]) -> set[str]:
    """The services clients are made of: `sqs` of `self.aws("sqs")`."""
    calls = (call for source in sources for call in source.walk(ast.Call) if source.part in ("adapters", "bootstrap"))
    first = (call.args[0] for call in calls if called(call) in ("aws", "client") and call.args)
    return {each.value for each in first if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_whatever_our_code_imports_is_in_the_layer(layers: Layers) -> None:
    asked = list(third_party((*package(), *functions())))
    assert len({module.partition(".")[0] for _, module, _ in asked}) >= 8, "the reading of the sources works"
    assert on_the_layers(layers, RESOLVE, asked) == []


@pytest.mark.parametrize(
    "line",
    [
        "from stripe.v2.core import Account",
        "from stripe import params",
        "def late():\n    from aws_lambda_powertools.utilities.parameters import get_secret",
        "import boto3",
        "import anyio",
        "import pydantic.v1",
    ],
)
def test_an_import_of_what_is_trimmed_is_found(layers: Layers, line: str) -> None:
    missing = on_the_layers(layers, RESOLVE, list(third_party((Source("revops.new", line),))))
    assert isinstance(missing, list)
    assert len(missing) == 1
    assert missing[0].startswith("revops.new:")


def test_every_module_and_function_starts_on_the_layers_alone(layers: Layers) -> None:
    apps = [str(path) for path in (PROJECT / "functions").glob("*/app.py") if path.parent.name != TRAINER]
    assert on_the_layers(layers, START, apps) == [True] * len(apps)


def test_no_asynchronous_client_is_used() -> None:
    """httpx's needs anyio, which is trimmed."""
    used = [
        source.at(node, dotted(node))
        for source in (*package(), *functions())
        for node in source.walk(ast.Attribute)
        if dotted(node).startswith("httpx.Async")
    ]
    assert used == []


# -- what vendors load late -----------------------------------------------------------------------------------------


def test_stripes_services_and_whatever_an_answer_may_hold_are_there(layers: Layers) -> None:
    asked = list(asked_of_stripe(package()))
    assert {"v1.customers.retrieve", "v1.prices.create", "v1.subscriptions.list"} <= {path for _, path in asked}
    trimmed = list(asked_of_stripe((Source("revops.adapters.stripe_new", "client.v2.core.accounts.list()"),)))
    said = on_the_layers(layers, STRIPE, [*asked, *trimmed])
    assert isinstance(said, dict)
    assert said["objects"] > 100
    assert said["events"] > 50
    assert said["missing"], "what is asked of API v2 is found"
    assert [each for each in said["missing"] if not each.startswith("revops.adapters.stripe_new:")] == []


def test_what_is_loaded_by_a_first_call_is_there(layers: Layers, build: ModuleType) -> None:
    assert asked_of_aws(package()) <= build.SERVICES
    said = on_the_layers(layers, LATE, sorted(build.SERVICES))
    assert isinstance(said, dict)
    # binaries: the same in Python would be taken without a word
    assert said["scorers"] == ["rapidfuzz.distance.metrics_cpp", "rapidfuzz.fuzz_cpp"]
    assert said["numbers"] == []
    assert said["mail"] == "ann@xn--bcher-kva.example"
    assert said["web"] == "no connection"
    assert set(said["aws"]) == build.SERVICES
    assert all("eu-west-2" in address or service == "sts" for service, address in said["aws"].items()), said["aws"]
    assert said["zones"] > 400
    assert said["zone"] == "Asia/Kathmandu"


# -- the check of each build ----------------------------------------------------------------------------------------


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("import gone", "gone"),
        ("import kept.part.deep", "kept.part.deep"),
        ("from gone.inner import name", "gone.inner"),
        ("from . import part", "kept.part"),
        ("from .part import deep", "kept.part"),
        ("class Late:\n    from gone import name", "gone"),
        ("if True:\n    import gone", "gone"),
        ("try:\n    import gone\nexcept ValueError:\n    pass", "gone"),
        ("try:\n    import json\nexcept ImportError:\n    import gone", None),
        ("from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    import gone", "gone"),
    ],
)
def test_a_build_fails_when_what_stays_imports_what_was_taken_out(
    build: ModuleType, tmp_path: Path, line: str, module: str | None
) -> None:
    write(
        tmp_path,
        {
            "kept/__init__.py": "",
            "kept/user.py": line,
            "kept/part/__init__.py": "",
            "kept/part/deep.py": "",
            "gone/__init__.py": "",
            "gone/inner.py": "",
        },
    )
    before = build.modules(tmp_path)
    for name in ("kept/part/__init__.py", "kept/part/deep.py", "gone/__init__.py", "gone/inner.py"):
        (tmp_path / name).unlink()
    gone = before - build.modules(tmp_path)
    assert gone == {"kept.part", "kept.part.deep", "gone", "gone.inner"}
    if module is None:
        build.check_imports(tmp_path, gone)
        return
    with pytest.raises(SystemExit, match=rf"kept\.user imports {module}, which is trimmed"):
        build.check_imports(tmp_path, gone)


@pytest.mark.parametrize(
    "text",
    [
        "def late():\n    import gone",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import gone",
        "try:\n    import gone\nexcept ImportError:\n    gone = None",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import gone",
        "import gone_with_the_wind",
    ],
)
def test_a_build_passes_when_what_stays_does_without(build: ModuleType, tmp_path: Path, text: str) -> None:
    write(tmp_path, {"kept.py": text})
    build.check_imports(tmp_path, frozenset({"gone"}))
