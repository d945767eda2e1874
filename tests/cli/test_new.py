"""`muondsl new`: a variant that is its parent until something is uncommented."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from muondsl.check import CheckedSpec, check
from muondsl.cli import main
from muondsl.lower import fingerprint
from muondsl.parent_to_variant import VariantError, class_name
from muondsl.parse import read
from tests.specs import every_spec_costly, path_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree("specs", tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def checked(path: Path) -> CheckedSpec:
    return check(read(path), path.parent)


def identity(path: Path) -> str:
    return fingerprint(replace(checked(path), name=""))


@every_spec_costly
def test_a_variant_of_each_spec_is_checked_formatted_and_the_same(name: str, folder: Path) -> None:
    spec = path_of(name)
    result = run("new", "my_variant", "--from", str(spec))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "specs/my_variant.muon written: MyVariant, which changes nothing yet\n"
    written = Path("specs/my_variant.muon")
    assert run("check", str(written)).exit_code == 0
    assert run("fmt", "--check", str(written)).exit_code == 0
    assert identity(written) == identity(spec)
    assert f"optimizer MyVariant extends {checked(spec).name}\n" in written.read_text("utf-8")
    compiled = run("compile", str(written))
    assert compiled.exit_code == 0, compiled.stderr


@every_spec_costly
def test_what_is_uncommented_is_what_the_parent_has(name: str, folder: Path) -> None:
    """All of it together, and each group of lines by itself."""
    spec = path_of(name)
    run("new", "my_variant", "--from", str(spec))
    written = Path("specs/my_variant.muon")
    text = written.read_text("utf-8")
    head, *groups = re.split(r"\n\n(?=#)", text.rstrip("\n"))
    shown = ["\n".join(line[2:] for line in group.splitlines() if not is_remark(line)) for group in groups[1:]]
    assert shown, text
    for chosen in ([*shown], *([group] for group in shown)):
        written.write_text("\n\n".join([head, *chosen, ""]), "utf-8")
        assert identity(written) == identity(spec)
    written.write_text("\n\n".join([head, *shown, ""]), "utf-8")
    assert checked(written).checkpoints == checked(spec).checkpoints


def is_remark(line: str) -> bool:
    """A sentence, which is nothing to uncomment."""
    return re.fullmatch(r"# [A-Z].*\.", line) is not None


def test_a_variant_shows_what_is_in_force_and_not_what_is_gone(folder: Path) -> None:
    Path("specs/no_decay.muon").write_text(
        "optimizer NoDecay extends Moonlight\nhyper lr = 0.5\nlet warm = min(1, step / 10)\nlet unread = warm\n"
        "scale warm * unread\ndecay none\notherwise none\nroute matrix ndim == 2\n",
        "utf-8",
    )
    Path("specs/plain.muon").write_text("optimizer Plain extends NoDecay\nscale warm\n", "utf-8")
    assert run("new", "Plainer", "--from", "specs/plain.muon").exit_code == 0
    lines = Path("specs/plainer.muon").read_text("utf-8").splitlines()
    assert "# hyper lr       = 0.5   in [0, inf)" in lines
    assert "# let warm = min(1, step / 10)" in lines
    assert "# scale         warm" in lines
    assert not any(word in line for word in ("weight_decay", "unread", "decay ", "otherwise") for line in lines[3:])


def test_the_directory_may_be_another_one_that_has_the_parent(folder: Path) -> None:
    shutil.copytree("specs", "mine")
    result = run("new", "my_variant", "--from", "specs/torch_muon.muon", "--directory", "mine")
    assert result.stdout == "mine/my_variant.muon written: MyVariant, which changes nothing yet\n"
    assert not Path("specs/my_variant.muon").exists()


def refused(*arguments: str) -> str:
    before = sorted(Path().rglob("*"))
    result = run("new", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert sorted(Path().rglob("*")) == before
    return result.stderr


def test_a_directory_without_the_parent_is_refused_with_a_reason(folder: Path) -> None:
    Path("mine").mkdir()
    message = refused("my_variant", "--from", "specs/torch_muon.muon", "--directory", "mine")
    assert "`extends TorchMuon` reads torch_muon.muon from the folder of the variant, and mine has none" in message
    assert "copy specs/torch_muon.muon there" in message
    assert "has none" in refused("my_variant", "--from", "specs/torch_muon.muon", "--directory", "nowhere")


def test_a_directory_with_another_parent_of_that_name_is_refused(folder: Path) -> None:
    Path("mine").mkdir()
    text = Path("specs/torch_muon.muon").read_text("utf-8")
    Path("mine/torch_muon.muon").write_text(text.replace("steps = 5", "steps = 6"), "utf-8")
    message = refused("my_variant", "--from", "specs/torch_muon.muon", "--directory", "mine")
    assert "mine/torch_muon.muon is not the TorchMuon of specs/torch_muon.muon" in message


def test_a_parent_that_extends_would_not_find_is_refused(folder: Path) -> None:
    Path("specs/torch_muon.muon").rename("specs/renamed.muon")
    message = refused("my_variant", "--from", "specs/renamed.muon")
    assert "the parent is called renamed.muon: rename it to torch_muon.muon" in message


def test_nothing_is_overwritten(folder: Path) -> None:
    assert "specs/moonlight.muon exists" in refused("moonlight", "--from", "specs/torch_muon.muon")
    assert "specs/torch_muon.muon exists" in refused("TorchMuon", "--from", "specs/torch_muon.muon")
    Path("specs/dangling.muon").symlink_to("nowhere")
    assert "specs/dangling.muon exists" in refused("dangling", "--from", "specs/torch_muon.muon")


def test_a_name_that_another_file_declares_is_refused(folder: Path) -> None:
    Path("specs/elsewhere.muon").write_text("optimizer MyVariant extends TorchMuon\n", "utf-8")
    message = refused("my_variant", "--from", "specs/torch_muon.muon")
    assert "specs/elsewhere.muon declares an optimizer MyVariant already" in message


@pytest.mark.parametrize(
    "name", ["", "my-variant", "2nd", "my variant", "_private", "my__variant", "ümlaut", "../x", "a.b"]
)
def test_a_name_that_is_none_is_refused(name: str, folder: Path) -> None:
    assert "is no name for an optimizer" in refused(name, "--from", "specs/torch_muon.muon")


@pytest.mark.parametrize("name", ["optimizer", "Tensor", "none", "Exception"])
def test_a_name_that_generated_code_has_for_something_else_is_refused(name: str, folder: Path) -> None:
    assert "means something else in generated code" in refused(name, "--from", "specs/torch_muon.muon")


def test_errors_of_the_parent_are_diagnostics(folder: Path) -> None:
    Path("specs/bad.muon").write_text("optimizer Bad\nhyper lr = 1\nmomentum emma()\n", "utf-8")
    assert "error[M0203]" in refused("my_variant", "--from", "specs/bad.muon")
    assert "error[M0001]" in refused("my_variant", "--from", "specs/missing.muon")


def test_a_folder_that_cannot_be_written_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert "cannot write: Permission denied" in refused("my_variant", "--from", "specs/torch_muon.muon")


NAMES = {
    "my_muon": ("MyMuon", "my_muon.muon"),
    "muon": ("Muon", "muon.muon"),
    "MyMuon": ("MyMuon", "my_muon.muon"),
    "NAdamMuon": ("NAdamMuon", "n_adam_muon.muon"),
    "muon_2d": ("Muon_2d", "muon_2d.muon"),
    "a_b": ("A_B", "a_b.muon"),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_one_in_which_extends_finds_the_class(name: str, folder: Path) -> None:
    chosen, file = NAMES[name]
    assert class_name(name) == chosen
    assert run("new", name, "--from", "specs/torch_muon.muon").stdout.startswith(f"specs/{file} written: {chosen},")
    assert run("new", "grandchild", "--from", f"specs/{file}").exit_code == 0
    assert identity(Path("specs/grandchild.muon")) == identity(Path("specs/torch_muon.muon"))


def test_class_names_can_be_asked_for_in_python() -> None:
    with pytest.raises(VariantError, match="write it as my_muon or MyMuon"):
        class_name("my-muon")
