"""`muondsl list` on a screen: one line a spec, that fits; all of a spec that is named; the rules; what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from muondsl.cli import main

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with three specs, of which one is the child of another."""
    (tmp_path / "specs").mkdir()
    for name in ("nanochat", "torch_muon", "torch_muon_plain"):
        shutil.copy(SPECS / f"{name}.muon", tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["list", *arguments])


def assert_refused(result: Result, words: str) -> None:
    assert result.exit_code != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_one_line_a_spec_names_its_rules(folder: Path) -> None:
    titles, *lines = run().stdout.splitlines()
    assert titles.split() == ["spec", "momentum", "orthogonalize", "adapt", "scale", "decay", "otherwise"]
    assert [re.split("  +", line) for line in lines] == [
        ["nanochat", "nesterov", "polar_express", "normuon", "sqrt(max(1, rows / cols))", "cautious", "adamw"],
        ["torch_muon", "nesterov", "newton_schulz", "-", "sqrt(max(1, rows / cols))", "decoupled", "-"],
        ["torch_muon_plain", "ema", "newton_schulz", "-", "sqrt(max(1, rows / cols))", "decoupled", "-"],
    ]


@pytest.mark.parametrize("width", [1, 30, 66, 80, 200])
def test_lines_fit_the_terminal_and_names_are_cut_last(
    width: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run().stdout.splitlines()
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run().stdout.splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
    assert (lines == whole) == (width >= max(map(len, whole)))
    if width >= 30:
        assert [line.split()[0] for line in lines] == [line.split()[0] for line in whole]


LONG = """nanochat: Nanochat
...
  source         https://github.com/karpathy/nanochat
                 arXiv:2505.16932
                 arXiv:2510.05491
  hypers         lr = 0.02, momentum = 0.95, beta2 = 0.95, weight_decay = 0,
                 betas = (0.8, 0.95)
  routes         matrix: role(matrix)
                 otherwise: role(embedding, head, norm, bias, vector)
  momentum       nesterov(beta = momentum)
  divides by     1.02 ‖u‖ + 1e-6
  orthogonalize  polar_express(steps = 5, coefficients = polar_express_nanochat,
                 safety = 1.02, eps = 1e-6, dtype = bf16)
  adapt          normuon(beta2 = beta2, eps = 1e-10)
  scale          sqrt(max(1, rows / cols))
  decay          cautious(weight_decay * scale, at_zero = true)
  state          momentum_buffer[rows, cols]
                 second_momentum_buffer[long]: fp32
  bytes          4 + 4/short an element in fp32
  otherwise      adamw(betas = betas, eps = 1e-10, weight_decay = weight_decay) with
                 weight_decay = 0
  its state      exp_avg
                 exp_avg_sq
  its bytes      8 an element in fp32
  kernels        Triton
"""


@pytest.mark.parametrize("name", ["nanochat", "nanochat.muon", "Nanochat", "specs/nanochat.muon"])
def test_a_spec_is_named_by_file_class_or_path(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    head, cells = LONG.split("...\n")
    printed = run(name).stdout
    assert printed.startswith(head)
    assert printed.endswith(cells)
    assert max(map(len, printed.splitlines())) <= 90


def test_long_prints_all_of_every_spec(folder: Path) -> None:
    printed = run("--long").stdout
    assert printed == "\n".join(run(name).stdout for name in ("nanochat", "torch_muon", "torch_muon_plain"))
    assert "torch_muon_plain: TorchMuonPlain extends TorchMuon\n" in printed


def test_blocks_are_printed_as_the_formatter_lays_them_out(folder: Path) -> None:
    stages = "adapt {\n# a reason\nupdate<-half*update }  \nproject { parameter <- sign(parameter) }\n"
    Path("specs/small.muon").write_text(f"optimizer Small\nhyper lr = 1\nlet half = 1/2\n{stages}")
    assert run("small").stdout.startswith("""small: Small
  hypers         lr = 1
  adapt          {
                   # a reason
                   update <- half * update
                 }
  where          half = 1 / 2
  project        {
                   parameter <- sign(parameter)
                 }
  bytes          0 an element in fp32
""")
    row = next(line for line in run().stdout.splitlines() if line.startswith("small"))
    assert re.split("  +", row) == ["small", "-", "-", "written out", "-", "written out", "-"]


def test_a_folder_of_rules_and_specs_is_listed_without_the_rules(folder: Path) -> None:
    Path("specs/rules.muon").write_text("rule half() {\n  update <- 0.5*update\n}\n")
    assert len(run().stdout.splitlines()) == 4
    assert_refused(run("rules"), "specs/rules.muon: rules, and no optimizer")


def test_specs_with_errors_are_reported_behind_the_others_once_each(folder: Path) -> None:
    whole = run().stdout
    Path("specs/bad.muon").write_text("optimizer Bad\nhyper lr = 0.1\nmomentum emma(beta = 0.9)\n")
    Path("specs/worse.muon").write_text("optimizer Worse extends Bad\n")
    result = run()
    assert result.stdout == whole
    assert result.exit_code == 1
    assert result.stderr.count("error[M0203]") == 1
    assert_refused(run("bad"), "error[M0203]")


def test_what_is_not_there_is_refused(folder: Path) -> None:
    assert_refused(run("nanochatt"), "there is no spec nanochatt in specs. did you mean `nanochat`?")
    assert_refused(run("--specs", "nowhere"), "there is no folder nowhere")
    Path("empty").mkdir()
    assert_refused(run("--specs", "empty"), "no specs in empty: --specs names another, and --rules lists the rules")


def test_another_folder_can_be_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run().stdout
    monkeypatch.chdir(folder / "specs")
    assert run("--specs", ".").stdout == whole
    assert run("nanochat", "--specs", str(folder / "specs")).stdout.startswith("nanochat: Nanochat\n")


def test_rules_are_printed_with_their_words() -> None:
    printed = run("--rules").stdout
    for name in ("ema", "nesterov", "heavy_ball", "newton_schulz", "polar_express", "decoupled", "cautious", "adamw"):
        assert f"  {name}(" in printed
    assert "The exponential moving average m of the gradient g: m ← βm + (1 − β)g." in printed
    assert_refused(run("--rules", "moonlight"), "it goes with neither names nor --long")
