"""Routes and views of a checked spec, and which specs have matrices at all."""

from __future__ import annotations

from pathlib import Path

from muondsl.check import CheckedSpec, check
from muondsl.diagnostics.span import Source
from muondsl.ir.scalar import HasRole
from muondsl.lower.fingerprint import fingerprint

HEAD = "optimizer Routed\nhyper lr = 1\n"
BODY = "momentum ema(0.9)\notherwise adamw()\n"


def checked(text: str) -> CheckedSpec:
    return check(Source("routed.muon", HEAD + text))


def test_roles_and_views_are_what_the_spec_says() -> None:
    spec = checked(
        f"const heads_of_model = 4\nroute matrix role(matrix, conv)\nroute otherwise rest\n"
        f'view flatten where role(conv)\nview transpose, heads(heads_of_model) where named("*qk*")\n{BODY}'
    )
    assert spec.routes[0].condition == HasRole(("matrix", "conv"))
    assert [(view.steps, str(view.condition)) for view in spec.views] == [
        ("flatten", "role(conv)"),
        ("transpose, heads(4)", "named(*qk*)"),
    ]


def test_a_child_replaces_all_views_of_its_parent(tmp_path: Path) -> None:
    parent = HEAD.replace("Routed", "Parent") + f"view flatten where ndim == 3\nview batch where ndim == 4\n{BODY}"
    (tmp_path / "parent.muon").write_text(parent, "utf-8")
    child = check(Source("child.muon", "optimizer Child extends Parent\nview transpose where ndim == 2\n"), tmp_path)
    assert [view.steps for view in child.views] == ["transpose"]
    heir = check(Source("heir.muon", "optimizer Heir extends Parent\nscale 2\n"), tmp_path)
    assert [view.steps for view in heir.views] == ["flatten", "batch"]


def test_views_and_roles_are_part_of_the_identity() -> None:
    texts = [
        "",
        "view flatten where ndim == 3\n",
        "view flatten where ndim == 4\n",
        "view batch where ndim == 3\n",
        "route matrix role(matrix)\nroute otherwise rest\n",
        "route matrix role(conv)\nroute otherwise rest\n",
    ]
    assert len({fingerprint(checked(text + BODY)) for text in texts}) == len(texts)


def test_a_spec_of_otherwise_alone_has_no_matrices() -> None:
    assert checked("otherwise adamw()\n").matrix is None
    assert checked(BODY).matrix is not None
    assert checked("route matrix ndim == 2\nroute otherwise rest\notherwise adamw()\n").matrix is not None
    assert checked("").matrix is not None
