"""Compile-time values, and bounds on what a spec may come to: whatever is written, the checker ends soon."""

from __future__ import annotations

from time import process_time

import pytest

from muondsl.check.bodies import MAXIMUM_DEPTH, MAXIMUM_OPERATIONS
from muondsl.check.list_calls import MAXIMUM_LIST
from muondsl.diagnostics.span import Source
from muondsl.pipeline import Pipeline
from tests.check.specs import HEAD, accepted, codes, places

SECONDS = 2.0


def doubling(count: int, first: str, again: str, last: str) -> str:
    """Rules of which each uses the one before twice."""
    rules = "".join(f"rule r{i}() {{ {again.format(i - 1)} }}\n" for i in range(1, count))
    return f"rule r0() {{ {first} }}\n{rules}momentum {{ r{count - 1}()\n {last} }}\n"


def blocks(count: int, inside: str) -> str:
    return "in fp32 {" * count + f" {inside} " + "}" * count


LET_CHAIN = "let a0 = step\n" + "".join(f"let a{i} = a{i - 1} + 1\n" for i in range(1, 600))
LOOPS = "for a in range(128) { for b in range(128) { for c in range(128) {"
BIG_SCALAR = "let a = step + step + step + step\nlet b = a*a*a*a\nlet c = b + b + b\n"
TOO_LARGE = {
    "loops in loops": f"momentum {{ {LOOPS} update <- update*2 }} }} }} }}",
    "empty loops in loops": f"momentum {{ {LOOPS} }} }} }} update <- update*2 }}",
    "a long body in a loop": "momentum { for a in range(128) { " + "update <- update*2\n" * 150 + "} }",
    "rules that double": doubling(40, "update <- update*2", "r{0}()\n r{0}()", ""),
    "empty rules that double": doubling(40, "", "r{0}()\n r{0}()", "update <- update*2"),
    "wrong rules that double": doubling(40, "update <- wrong", "r{0}()\n r{0}()", ""),
    "a chain of rules": doubling(400, "update <- update*2", "r{0}()", ""),
    "blocks in rules in blocks": f"rule r() {{ {blocks(24, 'update <- 1')} }}\nmomentum {{ {blocks(20, 'r()')} }}",
    "scalars that double": "let a0 = step\n"
    + "".join(f"let a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, 40))
    + "scale a39",
    "choices that double": "let a0 = step\n"
    + "".join(f"let a{i} = if step > 2 then a{i - 1} else a{i - 1}\n" for i in range(1, 40))
    + "scale a39",
    "a chain of lets": LET_CHAIN + "scale a599",
    "large scalars often": BIG_SCALAR + "momentum {" + "update <- update*(c + 1)\n" * 1300 + "}",
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_would_take_for_ever_is_refused_soon(name: str) -> None:
    begin = process_time()
    assert "M0607" in codes(TOO_LARGE[name])
    assert process_time() - begin < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "momentum { for a in range(125) { update <- update*2 + update*3 + update@(update'@update)*a } }",
        "momentum {" + "update <- update*2\n" * (MAXIMUM_OPERATIONS // 2) + "}",
        "".join(f"let a{i} = a{i - 1} + 1\n" for i in range(1, 49)).replace("a0", "step") + "scale a48",
        f"momentum {{ {blocks(24, 'update <- update*2')} }}",
        "".join(f"rule r{i}() {{ r{i + 1}() }}\n" for i in range(MAXIMUM_DEPTH - 2))
        + f"rule r{MAXIMUM_DEPTH - 2}() {{ update <- update*2 }}\nmomentum r0()",
        "const c = [" + "(1, 2), " * 128 + "]\nmomentum { for (a, b) in c { update <- update*a + b } }",
        "".join(f"const c{i} = c{i + 1}\n" for i in range(900)) + "const c900 = 1\nscale c0",
    ],
)
def test_what_is_allowed_compiles(text: str) -> None:
    Pipeline(Source("mine.muon", HEAD + text)).plan()


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ("range(3)", []),
        ("range(0)", []),
        ("[]", []),
        ("take([1, 2], 5)", []),
        ("take([], 0)", []),
        (f"range({MAXIMUM_LIST})", []),
        (f"range({MAXIMUM_LIST + 1})", ["M0606"]),
        (f"[{'1, ' * (MAXIMUM_LIST + 1)}]", ["M0606"]),
        ("take([1], 1e300)", ["M0606"]),
        ("take([], 1)", ["M0316"]),
        ("range(-1)", ["M0321"]),
        ("range(0.5)", ["M0321"]),
        ("range(rows)", ["M0310"]),
        ("range(step)", ["M0310"]),
        ("range(update)", ["M0303"]),
        ("range(1, 2)", ["M0318"]),
        ("5", ["M0305"]),
        ("update", ["M0305"]),
        ("[rows]", ["M0310"]),
        ("[update]", ["M0303"]),
        ('["a"]', ["M0303"]),
        ("[(1, 2)]", ["M0315"]),
        ("keller_jordan", ["M0315"]),
    ],
)
def test_a_loop_runs_over_a_short_list_of_numbers(items: str, found: list[str]) -> None:
    assert codes(f"momentum {{ update <- update*2\n for i in {items} {{ update <- update*i }} }}") == found


@pytest.mark.parametrize(
    ("index", "found"),
    [
        ("0", []),
        ("3 - 2", []),
        ("2", ["M0316"]),
        ("99999", ["M0316"]),
        ("-1", ["M0321"]),
        ("0.5", ["M0321"]),
        ("k", ["M0310"]),
        ("update", ["M0303"]),
    ],
)
def test_an_index_is_known_and_in_range(index: str, found: list[str]) -> None:
    assert codes(f"hyper k = 1\nconst table = [1, 2]\nscale table[{index}] * k") == found


def test_lists_in_lists_are_indexed_one_by_one() -> None:
    accepted("const table = [[1, 2], (3, [4, 5])]\nscale table[1][1][0]")
    assert places("const table = [[1, 2], (3, [4, 5])]\nscale table[1][1]") == ["M0303 table[1][1]"]


@pytest.mark.parametrize(
    "expression",
    [
        "1/0",
        "1/(2 - 2)",
        "0**-1",
        "(-8)**(1/3)",
        "sqrt(-1)",
        "log(0)",
        "exp(1000)",
        "1e300*1e300",
        "floor(9)**floor(99999999)",
        "9**9**9**9",
    ],
)
def test_arithmetic_without_a_finite_result_is_refused_at_once(expression: str) -> None:
    begin = process_time()
    assert codes(f"scale {expression}")[0] == "M0317"
    assert process_time() - begin < SECONDS


def test_a_rule_cannot_use_itself_on_any_way() -> None:
    assert places("rule f() { f() }\nmomentum f()") == ["M0605 f"]
    assert places("rule f() { g() }\nrule g() { for i in [1] { f() } }\nmomentum f()") == ["M0605 f"]
