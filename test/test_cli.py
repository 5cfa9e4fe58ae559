"""The console script: help, version, friendly refusals."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pkgutil import iter_modules

import pytest

from mtpano_model import __version__, commands
from mtpano_model.commands import COMMANDS, main


def test_help_lists_every_command_with_one_line(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, (_, help_line, _) in COMMANDS.items():
        assert any(line.split()[:1] == [name] and line.endswith(help_line) for line in lines)
    assert max(map(len, lines)) <= 90


def test_no_command_shows_the_help_and_is_a_misuse(capsys):
    assert main([]) == 2
    assert "usage: mtpano COMMAND" in capsys.readouterr().out


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mtpano {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("predct", "did you mean 'predict'"),
        ("PREDICT", "did you mean 'predict'"),
        ("exprot", "'export'"),
        ("xyzzy", "--help"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(capsys, typed, words):
    assert main([typed]) == 2
    error = capsys.readouterr().err
    assert typed in error
    assert words in error


def test_a_commands_help_tells_its_arguments(capsys):
    with pytest.raises(SystemExit) as end:
        main(["predict", "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    for words in ("--out", "--output-size", "--cloud", "optical frame", "mtpano predict"):
        assert words in text


def test_a_missing_dependency_is_one_line_with_what_to_install(capsys, monkeypatch):
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'", name="torch")

    monkeypatch.setattr(commands, "import_module", absent)
    assert main(["train"]) == 1
    error = capsys.readouterr().err
    assert "'torch' is not installed" in error
    assert ".[train]" in error
    assert error.count("\n") == 1


def test_underscores_are_dashes(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(commands, "_run", lambda name, arguments: asked.append(name) or 0)
    assert main(["build_engine", "x"]) == 0
    assert asked == ["build-engine"]


def test_an_unexpected_error_is_one_line_and_its_traceback_is_to_be_had(capsys, monkeypatch):
    def broken(name, arguments):
        raise ZeroDivisionError("on two\nlines")

    monkeypatch.setattr(commands, "_run", broken)
    assert main(["predict"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "ZeroDivisionError: on two lines (" in error
    assert "this is a fault of mtpano" in error
    monkeypatch.setenv("MTPANO_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["predict"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--data-root", ".", "--out", "m" * 300],
        ["train", "--data-root", "m" * 300, "--out", "o"],
        ["train", "--data-root", ".", "--out", "o", "--init", "m" * 300],
        ["label", "--data", "rooms", "--root", "m" * 300, "--teacher", "oracle", "--out", "s"],
        ["parity", "m" * 300],
        ["convert-released", "m" * 300, "--out", "x"],
        ["rotation-study", "--root", "m" * 300],
    ],
)
def test_a_name_that_the_system_refuses_is_one_line_about_it(
    capsys, monkeypatch, tmp_path, arguments
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "File name too long" in error
    assert "fault of mtpano" not in error


def test_ctrl_c_ends_without_a_traceback(capsys, monkeypatch):
    def interrupted(name, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "_run", interrupted)
    assert main(["predict"]) == 130
    assert capsys.readouterr().err == "mtpano predict: interrupted\n"


def test_the_table_names_every_command_module_and_no_other():
    modules = {name for _, name, _ in iter_modules(commands.__path__)}
    assert {module for module, _, _ in COMMANDS.values()} == modules


def test_the_package_runs_as_a_module_and_its_help_imports_no_torch():
    code = (
        "import sys; from mtpano_model.commands import main; main(['--help']); "
        "assert not {'torch', 'cv2', 'tyro'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-m", "mtpano_model", "--version"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == f"mtpano {__version__}\n"


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    words = f"{sys.executable} -m mtpano_model predict --help | head -1"
    done = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("usage: mtpano predict")
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words", [["predict", ""], ["predict", "x.png", "--out", ""], ["predict", "x.png", "--out="]]
)
def test_an_empty_path_is_not_the_folder_here(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is empty" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a\n[ERROR] forged", "\x1b[31mred", "m" * 100_000])
@pytest.mark.parametrize("command", [["predict"], ["rig", "check", "x.yaml"], ["rig", "template"]])
def test_no_name_breaks_the_line_of_its_refusal(name, command, capsys):
    assert main([*command, name]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].isprintable()
    assert len(said[0]) < 2100


CLOSED = [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"]


@pytest.mark.parametrize("streams", CLOSED)
@pytest.mark.parametrize("words", ["--help", "rig --help", "rig template theta"])
def test_closed_streams_are_no_fault(words, streams):
    done = run_in_shell(f"{sys.executable} -m mtpano_model {words} {streams}")
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("words", ["", "--help", "--version", "rig --help", "rig template theta"])
def test_a_full_disk_under_the_output_is_one_line(words):
    done = run_in_shell(f"{sys.executable} -m mtpano_model {words} >/dev/full")
    assert done.returncode == 1
    assert "the system refused (OSError: No space left on device)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_file_gets_the_number_of_a_closed_stream(tmp_path):
    code = (
        "from mtpano_model.standard_streams import open_missing_streams; open_missing_streams(); "
        f"file = open({str(tmp_path / 'file')!r}, 'w'); "
        "import os, sys; os.system('echo of a C library; echo and its errors >&2'); "
        "print('ours'); print('ours', file=sys.stderr); print(repr(sys.stdin.read()), file=file); "
        "assert file.fileno() > 2; file.close()"
    )
    done = run_in_shell(f'{sys.executable} -c "{code}" <&- >&- 2>&-')
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "''\n"


@pytest.mark.parametrize("streams", CLOSED)
def test_child_processes_have_their_streams(streams, tmp_path):
    child = f"assert open({str(tmp_path / 'file')!r}, 'w').fileno() > 2"
    code = (
        "from mtpano_model.standard_streams import open_missing_streams; open_missing_streams(); "
        "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
    )
    done = run_in_shell(f"{shlex.join([sys.executable, '-c', code, child])} {streams}")
    assert done.returncode == 0


def run_in_shell(command):
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)


def test_an_empty_path_among_several_is_told(capsys, tmp_path):
    (tmp_path / "rig.yaml").write_text("")
    assert main(["rig", "check", str(tmp_path / "rig.yaml"), ""]) == 1
    assert "the path 'pictures' is empty" in capsys.readouterr().err
