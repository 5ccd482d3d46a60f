"""What stands in the repository: nothing of one machine, no secret, no registry, and one way to run what must hold."""

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache

import pytest

from tests.architecture.source import PROJECT

# Written so that this file does not say what it looks for.
MACHINE_PATHS = re.compile(
    r"""(?<![\w.<-])/(?:home|Users|root)/[\w.-]+ | (?<![\w.<$}-])/wor[k]/\w+ | [A-Z]:\\Users\\ | /tm[p]/[a-z]\w*/""",
    re.X,
)
REGISTRIES = re.compile(
    r"""^\s*(?:--)?(?:extra-)?inde[x]-url | ^\s*--find-link[s] | --trusted-hos[t] | ^\s*"resolve[d]": | ^registr[y]\s*=
    | artifactor[y] | /simpl[e]/?["'\s] | files\.pythonhoste[d] """,
    re.X | re.M | re.I,
)
SECRETS = re.compile(
    r"""\b[sr]k_(?:test|live)_\w{8,} | \bwhse[c]_\w{8,} | \bpat-(?:na|eu)\d-[\w-]{8,} | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b
    | \bgh[pousr]_\w{20,} | \bxox[abp]-\w{8,} | -----BEGIN\ [A-Z ]*PRIVAT[E]\ KEY | \beyJ[\w-]{16,}\.eyJ[\w-]{16,}\.
    | \bAIza[\w-]{30,}""",
    re.X,
)
BINARY = (".png", ".jpg", ".ico", ".pdf", ".zip", ".xlsx")


@cache
def tracked() -> dict[str, str]:
    """Every file that is, or would be, committed, and its text."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git work tree: what is tracked cannot be told")
    names = sorted({name for name in listed.stdout.decode().split("\0") if name and not name.endswith(BINARY)})
    files = [(name, PROJECT / name) for name in names]
    return {name: path.read_text(encoding="utf-8") for name, path in files if path.is_file() and not path.is_symlink()}


def _sightings(pattern: re.Pattern[str]) -> Iterator[str]:
    for name, text in tracked().items():
        for found in pattern.finditer(text):
            yield f"{name}:{text.count('\n', 0, found.start()) + 1}: {found.group().strip()[:24]}"


@pytest.mark.fault("S24")
@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (MACHINE_PATHS, "a path of one machine"),
        (REGISTRIES, "a package registry; where packages come from is the machine's own configuration"),
        (SECRETS, "looks like a secret; build it at run time"),
    ],
    ids=["machine paths", "registries", "secrets"],
)
def test_no_file_says(pattern: re.Pattern[str], why: str) -> None:
    found = list(_sightings(pattern))
    assert not found, f"{why}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATHS, "see " + "/".join(["", "home", "someone", "revops"])),
        (MACHINE_PATHS, "cd " + "/".join(["", "work", "main"])),
        (REGISTRIES, "--index" + "-url https://packages.example.com"),
        (REGISTRIES, '      "resolved"' + ': "https://npm.example.com/x.tgz",'),
        (SECRETS, "_".join(["sk", "test", "0123456789abcdef"])),
        (SECRETS, "whsec" + "_0123456789abcdef"),
        (SECRETS, "AKIA" + "ABCDEFGHIJKLMNOP"),
        (SECRETS, "-----BEGIN RSA PRIVATE" + " KEY-----"),
    ],
)
def test_a_sighting_is_seen(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.fault("S24")
def test_every_requirement_is_pinned_and_hashed() -> None:
    for path in sorted((PROJECT / "requirements").glob("*.txt")):
        lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
        wanted = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        assert wanted, f"{path.name} is empty"
        loose = [line[:60] for line in wanted if "==" not in line or "--hash=sha256:" not in line]
        assert not loose, f"{path.name}: {loose}"


def test_one_command_runs_what_must_hold() -> None:
    """`.ci/run`, the README and the Makefile name the same one."""
    script = tracked()[".ci/run"]
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert commands == ["exec make test"]
    assert os.access(PROJECT / ".ci" / "run", os.X_OK)
    assert re.search(r"^test:.*## ", tracked()["Makefile"], re.M)
    assert re.search(r"^\s*make test\b|`make test`", tracked()["README.md"], re.M)


def test_every_command_the_documents_name_exists() -> None:
    makefile = tracked()["Makefile"]
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.M))
    documents = {name: text for name, text in tracked().items() if name.endswith(".md")}
    unknown = {
        f"{name}: make {target}"
        for name, text in documents.items()
        for target in re.findall(r"(?:`|^\s*)make ([a-z][a-z-]*)", text, re.M)
        if target not in targets
    }
    assert not unknown


def test_help_lists_every_command() -> None:
    makefile = tracked()["Makefile"]
    listed = set(re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.M))
    phony = set(" ".join(re.findall(r"^\.PHONY:(.*)$", makefile, re.M)).split())
    assert listed == phony
