"""Files that extend and use others."""

from __future__ import annotations

from pathlib import Path

import pytest

from muondsl.check import CheckedSpec, check, check_file
from muondsl.check.modules import gather
from muondsl.check.report import Report
from muondsl.check.rule_definitions import check_rules
from muondsl.diagnostics.diagnostic import Diagnostic
from muondsl.diagnostics.span import Source
from muondsl.diagnostics.spec_error import SpecError
from muondsl.lower import fingerprint
from muondsl.parse import read

PARENT = """optimizer TorchMuon
cite "theirs"
hyper lr           = 1e-3  in [0, inf)
hyper weight_decay = 0.1   in [0, inf)
hyper beta         = 0.95  in [0, 1)
let mu = beta * warm
let warm = min(step / 300, 1)
momentum nesterov(beta = mu)
scale    0.2
decay    decoupled(weight_decay)
otherwise adamw(weight_decay = weight_decay) with lr = 3e-4
"""
SIGNED = (
    "rule signed_average(beta) {\n  state m = zeros\n  m      <- lerp(m, update, 1 - beta)\n  update <- sign(m)\n}\n"
)
HEAD = "optimizer Mine\nhyper lr = 0.1\n"


def check_files(directory: Path, **files: str) -> CheckedSpec:
    """Writes the files, `a__b` into the folder `a`, and checks that which is called `mine`."""
    for name, text in files.items():
        path = directory / f"{name.replace('__', '/')}.muon"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return check(read(directory / "mine.muon"), directory)


def errors_of(directory: Path, **files: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        check_files(directory, **files)
    return [f"{error.code} {error.span.text}" for error in caught.value.diagnostics]


def extended(directory: Path, changes: str) -> CheckedSpec:
    return check_files(directory, torch_muon=PARENT, mine=f"optimizer Mine extends TorchMuon\n{changes}")


def test_a_variant_without_changes_means_what_its_parent_means(tmp_path: Path) -> None:
    mine = extended(tmp_path, "")
    theirs = check(read(tmp_path / "torch_muon.muon"), tmp_path)
    assert (mine.name, mine.citations) == ("Mine", ())
    assert (mine.matrix, mine.otherwise, mine.hypers) == (theirs.matrix, theirs.otherwise, theirs.hypers)


def test_a_stage_is_replaced(tmp_path: Path) -> None:
    stages = extended(tmp_path, "momentum ema(beta = beta)").matrix.stages
    assert [stage.heading for stage in stages] == [
        "momentum ema(beta = beta)",
        "scale 0.2",
        "decay decoupled(weight_decay)",
    ]


def test_a_stage_is_removed_and_the_hypers_that_only_it_read_go_with_it(tmp_path: Path) -> None:
    spec = extended(tmp_path, "decay none\notherwise adamw()")
    assert [stage.name for stage in spec.matrix.stages] == ["momentum", "scale"]
    assert [hyper.name for hyper in spec.hypers] == ["lr", "beta"]


def test_the_default_and_range_of_a_hyper_are_replaced(tmp_path: Path) -> None:
    spec = extended(tmp_path, "hyper beta = 0.5 in [0, 0.9]")
    (beta,) = (hyper for hyper in spec.hypers if hyper.name == "beta")
    assert (beta.default, str(beta.interval)) == ("0.5", "[0, 0.9]")
    assert [hyper.name for hyper in spec.hypers] == ["lr", "weight_decay", "beta"]


def test_a_hyper_without_a_range_keeps_that_of_the_parent(tmp_path: Path) -> None:
    spec = extended(tmp_path, "hyper beta = 0.5")
    (beta,) = (hyper for hyper in spec.hypers if hyper.name == "beta")
    assert (beta.default, str(beta.interval)) == ("0.5", "[0, 1)")
    wrong = "optimizer Mine extends TorchMuon\nhyper beta = 1.5\n"
    assert errors_of(tmp_path, torch_muon=PARENT, mine=wrong) == ["M0401 1.5"]


def test_what_happens_to_other_parameters_can_be_taken_away(tmp_path: Path) -> None:
    assert extended(tmp_path, "otherwise none").otherwise is None


def test_a_used_file_holds_nothing_but_rules_and_constants(tmp_path: Path) -> None:
    mine = f'{HEAD}use "other.muon"\nmomentum signed_average(0.9)\n'
    assert errors_of(tmp_path, mine=mine, other=f"hyper extra = 1\n{SIGNED}") == ['M0107 "other.muon"']


def test_a_let_is_replaced_for_all_that_reads_it(tmp_path: Path) -> None:
    mine = extended(tmp_path, "let warm = 1")
    assert fingerprint(mine) != fingerprint(extended(tmp_path, ""))
    again = check_files(
        tmp_path,
        mine="optimizer Mine extends Middle\nlet warm = 1\n",
        middle="optimizer Middle extends TorchMuon\nlet warm = 2\n",
    )
    assert mine.matrix == again.matrix


def test_routes_and_otherwise_are_inherited_and_replaced(tmp_path: Path) -> None:
    assert extended(tmp_path, "").overrides == (("lr", "3e-4"),)
    assert extended(tmp_path, "otherwise adamw(weight_decay = weight_decay)").overrides == ()


def test_a_hyper_that_the_variant_declares_and_nothing_reads_is_an_error(tmp_path: Path) -> None:
    assert errors_of(tmp_path, torch_muon=PARENT, mine="optimizer Mine extends TorchMuon\nhyper extra = 1\n") == [
        "M0207 extra"
    ]


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({}, "M0101 Theirs"),
        ({"theirs": "optimizer Others\nhyper lr = 1\n"}, "M0106 Theirs"),
        ({"theirs": SIGNED}, "M0106 Theirs"),
        ({"theirs": "optimizer Theirs extends Mine\n"}, "M0103 Mine"),
        ({"theirs": "optimizer Theirs extends Theirs\n"}, "M0103 Theirs"),
    ],
)
def test_a_parent_is_found_in_the_file_of_its_name(tmp_path: Path, other: dict[str, str], found: str) -> None:
    assert errors_of(tmp_path, mine="optimizer Mine extends Theirs\n", **other) == [found]


def test_a_parent_with_a_name_too_long_for_a_file_is_not_found(tmp_path: Path) -> None:
    assert errors_of(tmp_path, mine=f"optimizer Mine extends {'A' * 300}\n") == [f"M0101 {'A' * 300}"]


def test_a_rule_of_ones_own_means_what_it_means_in_the_library(tmp_path: Path) -> None:
    own = """rule my_ema(beta) {
  state momentum_buffer = zeros
  momentum_buffer <- lerp(momentum_buffer, update, 1 - beta)
  update          <- momentum_buffer
}
"""
    specs = [
        check_files(tmp_path, mine=f"{HEAD}momentum ema(beta = 0.9)\n"),
        check_files(tmp_path, mine=f"{HEAD}{own}momentum my_ema(beta = 0.9)\n"),
        check_files(tmp_path, rules=own, mine=f'{HEAD}use "rules.muon"\nmomentum my_ema(beta = 0.9)\n'),
    ]
    assert len({spec.matrix.stages[0].statements for spec in specs}) == 1


def test_paths_are_taken_from_the_file_that_holds_them(tmp_path: Path) -> None:
    first = 'use "second.muon"\nrule first(beta) {\n  signed_average(beta)\n}\n'
    files = {"folder__first": first, "folder__second": SIGNED}
    check_files(tmp_path, mine=f'{HEAD}use "folder/first.muon"\nmomentum first(0.9)\n', **files)


def test_a_file_may_be_used_on_two_ways(tmp_path: Path) -> None:
    files = {"a": 'use "c.muon"\n', "b": 'use "./c.muon"\n', "c": SIGNED}
    check_files(tmp_path, mine=f'{HEAD}use "a.muon"\nuse "b.muon"\nmomentum signed_average(0.9)\n', **files)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"mine": f'{HEAD}use "nowhere.muon"\n'}, 'M0102 "nowhere.muon"'),
        ({"mine": f'{HEAD}use ""\n'}, 'M0102 ""'),
        ({"mine": f'{HEAD}use "mine.muon"\n'}, 'M0103 "mine.muon"'),
        ({"mine": f'{HEAD}use "a.muon"\n', "a": 'use "b.muon"\n', "b": 'use "./a.muon"\n'}, 'M0103 "./a.muon"'),
        ({"mine": f'{HEAD}use "a.muon"\n', "a": PARENT}, 'M0107 "a.muon"'),
        ({"mine": f'{HEAD}use "a.muon"\n', "a": "rule ema(beta) { update <- update * beta }\n"}, "M0210 ema"),
        ({"mine": f'{HEAD}use "a.muon"\nconst c = 1\n', "a": "const c = 1\n"}, "M0210 c"),
        ({"mine": f'{HEAD}use "a.muon"\n', "a": "rule sqrt(x) { update <- update * x }\n"}, "M0206 sqrt"),
        ({"mine": f'{HEAD}use "a.muon"\n', "a": "rule f( {\n"}, "M0006 {"),
    ],
)
def test_what_is_used_is_a_file_of_rules_with_names_of_its_own(
    tmp_path: Path, files: dict[str, str], found: str
) -> None:
    assert errors_of(tmp_path, **files) == [found]


def test_two_files_of_rules_that_use_each_other_are_a_circle_wherever_one_begins(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.muon").write_text(
            f'use "{other}.muon"\nrule in_{name}(k) {{\n  update <- update * k\n}}\n'
        )
    for name in ("a", "b"):
        with pytest.raises(SpecError) as caught:
            check_file(read(tmp_path / f"{name}.muon"), tmp_path)
        assert [error.code for error in caught.value.diagnostics] == ["M0103"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SIGNED, []),
        ("const a = b\n", ["M0201"]),
        ("const a = rows\n", ["M0310"]),
        ("rule f(k) { update <- x }\n", ["M0201"]),
        ("scale 2\n", ["M0104"]),
    ],
)
def test_a_file_of_rules_is_checked_by_itself(tmp_path: Path, text: str, found: list[str]) -> None:
    (tmp_path / "rules.muon").write_text(text)
    errors: tuple[Diagnostic, ...] = ()
    try:
        check_file(read(tmp_path / "rules.muon"), tmp_path)
    except SpecError as error:
        errors = error.diagnostics
    assert [error.code for error in errors] == found


def test_the_rules_of_the_standard_library_are_without_errors() -> None:
    report = Report()
    library = gather(Source("mine.muon", HEAD), Path(), report).library
    check_rules(tuple(library.rules.values()), library, report)
    assert report.found == []
