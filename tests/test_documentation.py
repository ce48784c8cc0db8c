"""What the documents say is true: commands, files, keys, messages, the light, the layers."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import reduce

import pytest

from edgevoice import __version__, light
from edgevoice.cli import main
from edgevoice.config import load
from edgevoice.drivers.profile_files import profile_texts
from edgevoice.schema import Tables
from tests.test_layers import LAYERS, PACKAGE, PURE_ROWS, ROOT, modules

README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
DOCUMENTS = {"README": README, "ARCHITECTURE": ARCHITECTURE, "CHANGELOG": CHANGELOG}
each_document = pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)

SUFFIXES = "py|md|toml|service|conf"
THE_OWNERS = {"edgevoice.toml"}  # files that are named but are not ours to keep


def spans(document: str) -> list[str]:
    """Return what stands between backticks, each on one line."""
    prose = re.sub(r"^```.*?^```$", "", document, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, flags=re.MULTILINE | re.DOTALL)


def generated(document: str, name: str) -> str:
    """Return what stands between the two markers called `name`."""
    found = re.findall(rf"^<!-- {name} -->\n(.*?)\n?<!-- /{name} -->$", document, flags=re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"expected <!-- {name} --> and <!-- /{name} --> once"
    return str(found[0])


def commands() -> list[str]:
    """Return the words of every edgevoice command in the README, without its options."""
    lines = [line for line in README.splitlines() if line.startswith("    ")]
    shown = [text for text in [*spans(README), *lines] if "…" not in text]  # those are messages
    found = {re.search(r"\bedgevoice((?: +[\w-]+)+)", text) for text in shown}
    without_options = {re.sub(r" --?\w+.*", "", match[1]).strip() for match in found if match}
    return sorted(without_options - {""})


def files(document: str) -> Iterator[str]:
    """Yield every file of ours that the document names, and every target of a relative link."""
    yield from re.findall(r"\]\((?!https?:|#)([^)#]+)", document)
    named = re.compile(rf"(?![-/])(?:[\w.-]+/)*(?:[\w.-]+\.(?:{SUFFIXES})|(?<=/))")
    yield from (span for span in spans(document) if named.fullmatch(span) and span not in THE_OWNERS)


def layers() -> str:
    """Draw the rows of LAYERS, the highest first."""
    rows = [" " + "  ".join(row) for row in reversed(LAYERS)]
    rows.insert(len(rows) - PURE_ROWS, " ---- below this line: pure ".ljust(100, "-"))
    return "\n".join(["```", *rows, "```"])


def messages() -> str:
    """Return every text in the program, one a line, with `…` for what is filled in when it runs."""
    texts = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_the_light_is_told_as_it_is() -> None:
    assert generated(README, "light") == light.table()


def test_there_is_a_place_for_the_figures() -> None:
    assert generated(README, "figures")


def test_the_layers_are_drawn_as_they_are_enforced() -> None:
    assert generated(ARCHITECTURE, "layers") == layers()


def test_every_module_is_explained() -> None:
    named = {f"{module.replace('.', '/')}.py" for module in modules()}
    assert named - set(spans(ARCHITECTURE)) == set()


def test_no_file_is_explained_twice() -> None:
    cells = re.findall(r"^\| (`[^|]*`) \|", ARCHITECTURE, flags=re.MULTILINE)
    named = [span for cell in cells for span in spans(cell)]
    assert len(named) > 100
    assert sorted({name for name in named if named.count(name) > 1}) == []


@each_document
def test_no_two_lines_of_prose_begin_with_the_same_words(document: str) -> None:
    prose = re.sub(r"^(```.*?^```|\|.*?|    .*?)$", "", document, flags=re.MULTILINE | re.DOTALL)
    begins = [" ".join(words[:6]) for line in prose.splitlines() if len(words := line.split()) > 6]
    assert len(begins) > 50
    assert sorted({begin for begin in begins if begins.count(begin) > 1}) == []


def test_the_words_are_those_of_the_code() -> None:
    names = {span for span in spans(ARCHITECTURE) if re.fullmatch(r"[A-Z][a-z]+[A-Za-z]*", span)}
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


@pytest.mark.parametrize("command", commands())
def test_every_command_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([*command.split(), "--help"])
    assert done.value.code == 0, capsys.readouterr().err


def test_no_command_is_kept_secret(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["ctl"]):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        listed = re.findall(r"^ {4}(\w+)", capsys.readouterr().out, flags=re.MULTILINE)
        assert listed
        for name in listed:
            assert any(command.split()[: len(words) + 1] == [*words, name] for command in commands()), name


def test_the_manual_page_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "packaging/debian/edgevoice.1").read_text()
    section = page.partition(".SH COMMANDS")[2].partition(".PP")[0]
    told = [row.split()[0] for row in re.findall(r'^\.BR? "?(\w[\w ]*)', section, flags=re.MULTILINE)]
    with pytest.raises(SystemExit):
        main(["--help"])
    assert sorted(told) == sorted(re.findall(r"^ {4}(\w+)", capsys.readouterr().out, flags=re.MULTILINE))


def test_every_target_of_make_exists() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in README.splitlines() if line.startswith("    ")]
    asked = {text.split()[1] for text in [*spans(README), *lines] if re.fullmatch(r"make \w+", text)}
    assert {"run", "test", "bench"} <= asked <= set(targets)


@each_document
def test_every_file_that_is_named_exists(document: str) -> None:
    missing = [file for file in files(document) if not any((place / file).exists() for place in (ROOT, PACKAGE))]
    assert not missing


@each_document
def test_every_heading_that_is_linked_to_exists(document: str) -> None:
    headings = re.findall(r"^#+ (.*)$", document, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", document)) <= anchors


@pytest.mark.parametrize("text", blocks(README, "toml"))
def test_every_configuration_that_is_shown_is_valid(text: str) -> None:
    assert tomllib.loads(text)
    load(text, profiles=profile_texts())


@each_document
def test_every_key_that_is_named_exists(document: str) -> None:
    defaults = load("")
    for span in spans(document):
        if re.fullmatch(rf"({'|'.join(Tables.__struct_fields__)})(\.[a-z_]+)+(?<!\.py)", span):
            reduce(getattr, span.split("."), defaults)
        elif setting := re.fullmatch(r"(\[[\w.]+\]) (.* = .*)", span):
            load("\n".join(setting.groups()), profiles=profile_texts())


def test_every_message_that_is_explained_is_one_that_the_program_says() -> None:
    said = messages()
    explained = re.findall(r"^\| `([^`]*…[^`]*)` \|", README, flags=re.MULTILINE)
    assert explained
    for message in explained:
        for fragment in re.split(r"\s*…\s*", message):
            assert fragment in said, message


def test_the_changelog_begins_with_this_version() -> None:
    assert re.findall(r"^## \[([\d.]+)\]", CHANGELOG, flags=re.MULTILINE)[0] == __version__


@each_document
def test_lines_are_short_enough_for_a_terminal(document: str) -> None:
    assert not [line for line in document.splitlines() if len(line) > 120 and not line.startswith("|")]
