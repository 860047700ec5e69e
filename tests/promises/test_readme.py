"""The README's first two sh blocks are what a user copies: the main job, then the tests."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
COMMANDS = [body for language, body in BLOCKS if language == "sh"]


def test_there_are_two_commands_at_least():
    assert len(COMMANDS) >= 2


@pytest.mark.parametrize("index", [0, 1])
def test_both_start_in_a_fresh_virtual_environment(index):
    lines = COMMANDS[index].splitlines()
    assert "-m venv" in lines[0]
    assert re.search(r"pip install .*-e ", COMMANDS[index])
    # Copied as they stand: no prompt, no placeholder.
    assert not any(line.startswith(("$", ">")) or "<" in line for line in lines)


def test_the_first_is_the_main_job():
    assert "examples/plot_first_comparison.py" in COMMANDS[0]
    assert '".[plots]"' in COMMANDS[0]


def test_the_full_comparison_comes_later():
    assert not any("plot_compare_with" in command for command in COMMANDS[:2])
    assert any("plot_compare_with_mlpclassifier.py" in command for command in COMMANDS[2:])


def test_the_second_runs_the_tests():
    assert "pytest" in COMMANDS[1].splitlines()[-1]
    assert '".[tests]"' in COMMANDS[1]


def test_the_extras_are_defined():
    metadata = (ROOT / "pyproject.toml").read_text("utf-8")
    for extra in re.findall(r'"\.\[(\w+)\]"', "".join(COMMANDS)):
        assert re.search(rf"^{extra} = \[", metadata, re.MULTILINE)


def test_files_that_the_commands_run_exist():
    for path in re.findall(r"\S+\.py\b", "".join(COMMANDS)):
        assert (ROOT / path).is_file(), path


def test_python_blocks_compile():
    sources = [body for language, body in BLOCKS if language == "python"]
    assert sources
    for source in sources:
        compile(source, "README.md", "exec")
