"""Random specs for the planner of launches: states of every shape in every order, Gram matrices, iterations whose
source or inside is read elsewhere, conditions that cross kernels, and names that generated kernels use themselves.

Values stay bounded, so that rounding stays explained.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

from muondsl.diagnostics.spec_error import SpecError
from muondsl.interface import pipeline
from muondsl.pipeline import Options
from tests.schedule.random_iterations import iteration_lines

MATRIX, ROW, COL, ONE, LONG, SHORT = "rows, cols", "rows, 1", "1, cols", "1, 1", "long", "short"
SHAPES = (MATRIX, ROW, COL, ONE, LONG, SHORT)
OVER = {ROW: "cols", COL: "rows", LONG: "short", SHORT: "long"}
GRAM, COGRAM = "rows, rows", "cols, cols"

NAMES = (
    *("tile", "work", "index", "rows_", "scalars", "shapes", "programs", "flat", "vector", "power", "places"),
    *("update_ptr", "shapes_ptr", "batch", "Batch", "tl", "jit", "load_tile", "reduced", "hypers", "groups", "steps"),
    *("x", "kept", "momentum_2", "size", "norm_1", "PARAMETER", "BLOCK", "x_parts", "float", "gram", "value", "double"),
)
"""Names of locals and states: some of them kernels, launch functions or tables use themselves."""

HYPERS = (("power", "0.75"), ("sign_of", "2"), ("hypers", "0.3"), ("tile", "0.01"), ("betas0", "0.6"), ("scalars", "7"))


class SpecWriter:
    """Writes one spec from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def text(self) -> str:
        """What is written and does not fit, for shapes that differ, is thrown away."""
        while True:
            text = self.draft()
            try:
                pipeline(text, Options()).checked()
            except SpecError:
                continue
            return text

    def draft(self) -> str:
        self.hypers = dict(self.random.sample(HYPERS, 3))
        self.names = [name for name in NAMES if name not in self.hypers]
        self.taken = set(self.hypers)
        stages = [self.stage("momentum", 3), self.orthogonalize()]
        stages += [self.stage("adapt", 2)] * self.chance(0.7)
        stages += [f"scale {self.scalar()}"] * self.chance(0.7)
        stages += [self.decay()] * self.chance(0.7)
        if self.chance(0.4):
            stages += [self.otherwise(), "route matrix ndim == 2", "route otherwise ndim != 2"]
        body = "\n".join(stages)
        hypers = {"lr": "0.1", "betas": "(0.9, 0.99)", **self.hypers}
        read = [name for name in hypers if name == "lr" or re.search(rf"\b{name}\b", body)]
        return "\n".join(["optimizer RandomSpec", *(f"hyper {name} = {hypers[name]}" for name in read), body, ""])

    # Pieces.

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def name(self) -> str:
        free = [name for name in self.names if name not in self.taken]
        name = self.random.choice(free) if free else f"v{len(self.taken)}"
        self.taken.add(name)
        return name

    def hyper(self) -> str:
        return self.pick("lr", "betas[0]", "betas[1]", *self.hypers)

    def scalar(self, *, is_flat: bool = False) -> str:
        shape = ("numel", "sqrt(numel)") if is_flat else ("rows", "cols", "rows / cols", "max(rows, cols, 3)")
        one, two = self.hyper(), self.hyper()
        return self.pick(
            *("0.5", "2", "007", "1e-30", "0.25", "1.5e-45", "3", "(1 - 1e-12)"),
            *(one, f"(1 - {one})", f"({one} * {two})", f"{one}**step", f"(1 / (1 + {one}*{two}))", f"-{one}"),
            *(f"lerp({one}, {two}, 0.3)", f"min({one}, 0.5, {two})", f"(if step > 2 then {one} else 0.25)"),
            *(f"floor(3 * {one}) ", f"sqrt({one}*{one} + 1)", f"tanh({one})", f"(0.5 / {self.pick(*shape)})"),
            *(f"exp(-{one})", f"log(1 + abs({two}))", f"sign({one} - 0.5)", f"(2 / (1 + step + {one}))", "1e-8"),
        )

    def stage(self, stage: str, count: int) -> str:
        """States of several shapes, statements in any order, and an update of everything that is in reach."""
        self.reach = {MATRIX: ["update", "gradient", "parameter"]}
        lines: list[str] = []
        states: list[tuple[str, str]] = []
        for _ in range(self.random.randint(0, count)):
            shape, name = self.pick(*SHAPES), self.name()
            initial = self.pick("zeros", "ones", "0.5", *(("gradient", "parameter") if shape == MATRIX else ()))
            form = self.pick("", "", "", ": fp32", ": bf16")
            lines.append(f"state {name}[{shape}]{form} = {initial}")
            self.reach.setdefault(shape, []).append(name)
            states.append((name, shape))
        for _ in range(self.random.randint(2, 5)):
            if states and self.chance(0.45):
                name, shape = self.random.choice(states)
                lines += self.state_lines(name, shape, states)
            else:
                lines += self.statement()
        for name, shape in states:
            if not any(line.startswith(f"{name} <- ") for line in lines):
                lines.append(f"{name} <- {self.expression(shape)}")
            if not re.search(rf"\b{name}\b(?! <-)(?!\[)", " ".join(lines[len(states) :])):
                lines.insert(len(states), f"update <- update + 0.1*{name}")
            first = next(i for i, line in enumerate(lines) if line.startswith(f"{name} <- "))
            before = " ".join(lines[len(states) : first + 1]).replace(f"{name} <- ", "")
            if not re.search(rf"\b{name}\b", before):
                kept = self.name()
                self.reach.setdefault(shape, []).append(kept)
                lines.insert(len(states), self.pick(f"let {kept} = {name}", f"let {kept} = 0.5*{name}"))
        lines.append(f"update <- {self.everything()}")
        return block(stage, lines)

    def state_lines(self, name: str, shape: str, states: list[tuple[str, str]]) -> list[str]:
        others = [other for other, its in states if its == shape and other != name]
        kind = self.random.random()
        if kind < 0.25 and others:
            other, kept = self.random.choice(others), self.name()
            return [f"let {kept} = {name}", f"{name} <- {other}", f"{other} <- {self.pick(kept, f'0.5*{kept}')}"]
        if kind < 0.4:
            kept = self.name()
            self.reach[shape].append(kept)
            return [f"let {kept} = {name}", f"{name} <- tanh({self.expression(shape)})"]
        if kind < 0.5:
            return [f"{name} <- {self.pick(name, f'{name} + 0', *others)}"]
        if kind < 0.6:
            return [f"{name} <- {self.scalar()}"]
        value = f"tanh({self.expression(shape)})"
        return [f"{name} <- {self.pick(value, f'lerp({name}, {value}, {self.weight()})')}"]

    def weight(self) -> str:
        return self.pick("0.3", "0.5", "0.7", "-0.2", "1", f"(1 / (1 + {self.hyper()}))")

    def everything(self) -> str:
        """Whatever is declared has to be read."""
        terms = ["update"]
        for shape, names in self.reach.items():
            for name in names:
                if name in ("update", "gradient", "parameter"):
                    continue
                if shape == GRAM:
                    name = self.pick(f"mean({name}, over = rows)'", f"{name} @ gradient / rows", f"norm({name})")
                elif shape == COGRAM:
                    name = self.pick(f"mean({name}, over = cols)'", f"(gradient @ {name}) / cols", f"max({name})")
                terms.append(f"{self.pick('0.1', '0.25', '0.5')}*{name}")
        return " + ".join(terms)

    def statement(self) -> Iterator[str]:
        kind = self.random.random()
        if kind < 0.5:
            shape = self.pick(*SHAPES, MATRIX, GRAM, COGRAM)
            name, value = self.name(), self.expression(shape)
            yield f"let {name} = {self.pick('', 'tanh', '0.5*')}({value})"
            self.reach.setdefault(shape, []).append(name)
        elif kind < 0.7:
            yield f"update <- {self.pick('tanh', '0.5*')}({self.expression(MATRIX)})"
        elif kind < 0.8:
            yield f"in {self.pick('bf16', 'fp32')} {{"
            yield f"  update <- {self.expression(MATRIX)} + 0.5*update"
            yield "}"
        elif kind < 0.9:
            mask, shape = self.name(), self.pick(MATRIX, MATRIX, ROW, LONG, ONE)
            yield f"let {mask} = {self.condition(shape)}"
            value = self.expression(MATRIX, 2)
            yield f"update <- update + 0.1*(if {mask} then {value} else {self.pick('0', '1', '-2')})"
            if self.chance(0.5):
                yield f"update <- update / (1 + norm(update)) + (if {mask} then 0.25 else update)"
        else:
            name = self.name()
            yield f"let {name} = {self.scalar()}"
            yield f"update <- lerp(update, tanh({self.expression(MATRIX)}), {name})"

    # Expressions.

    def condition(self, shape: str, depth: int = 1) -> str:
        one, two = self.expression(shape, depth + 1), self.expression(shape, depth + 1)
        sign = self.pick("<", "<=", ">", ">=", "!=", "==")
        return self.pick(
            f"{one} {sign} 0.1 * {two} + 0.01",
            f"not {one} > 0.1",
            f"({one} > 0.1 and {two} < 0.5 or rows == 3)",
            f"not (step == 2 or {one} < 0.3)",
            f"(if {one} > 0.2 then {two} > 0 else {two} < 0.1)",
        )

    def expression(self, shape: str, depth: int = 0) -> str:
        leaves = self.reach.get(shape, [])
        if leaves and (depth > 2 or self.chance(0.35)):
            return self.random.choice(leaves)
        if shape in (GRAM, COGRAM):
            return self.square(shape, depth)
        if shape == ONE and (depth > 2 or self.chance(0.5)):
            source = self.random.choice([each for each in self.reach if each != ONE])
            return f"{self.pick('mean', 'norm', 'max', 'min')}({self.expression(source, depth + 2)})"
        if shape in OVER and (depth > 2 or self.chance(0.5)):
            function = self.pick("mean", "norm", "max", "min", "sum")
            return f"{function}({self.expression(MATRIX, depth + 1)}, over = {OVER[shape]})"
        return self.composed(shape, depth)

    def square(self, shape: str, depth: int) -> str:
        x = self.expression(MATRIX, depth + 2)
        y = x if self.chance(0.7) else self.expression(MATRIX, depth + 2)
        product = f"(({x}) @ ({y})') / cols" if shape == GRAM else f"(({x})' @ ({y})) / rows"
        if depth > 1 or self.chance(0.4):
            return f"({product})"
        other = self.square(shape, depth + 1)
        reduced = f"norm({other}, over = rows)" if shape == GRAM else f"norm({other}, over = cols)"
        return self.pick(
            f"tanh({product})",
            f"({product} + ({other})')",
            f"({product} @ {other}) / {self.pick('rows', 'cols')}",
            f"({product}) / (1 + {reduced})",
            f"(if {product} > 0.1 then {other} else 0.5)",
            f"({other})'",
            f"max({product}, {other}, -1)",
            f"({product}) / (1 + norm({other}))",
            f"({product}) * {self.scalar()}",
        )

    def broadcast(self, shape: str, depth: int) -> str:
        """Something of this shape, or that can be repeated to it."""
        narrower = {MATRIX: (ROW, COL, LONG, SHORT, ONE)}.get(shape, (ONE,))
        return self.expression(self.pick(shape, *narrower), depth)

    def composed(self, shape: str, depth: int) -> str:
        one, two = self.expression(shape, depth + 1), self.broadcast(shape, depth + 1)
        other = self.expression(shape, depth + 1)
        extra: tuple[str, ...] = ()
        if shape == MATRIX and depth < 2:
            gram, cogram = self.square(GRAM, depth + 1), self.square(COGRAM, depth + 1)
            extra = (
                f"(({gram} @ ({one})) / rows)",
                f"((({one}) @ {cogram}) / cols)",
                f"({cogram} @ ({one})')' / cols",
                f"((({one})' @ {gram})' / rows + 0.5*({two}))",
                f"(0.5*({one}) - {self.hyper()}*({gram} @ ({one})))",
            )
        return self.pick(
            *extra,
            f"({one} + {two})",
            f"({one} - 0.5*{two})",
            f"({two} * {one})",
            f"({one}) / (1 + abs({two}))",
            f"lerp({one}, {other}, {self.weight()})",
            f"lerp(({one})', ({other})', {self.weight()})'",
            f"(if {self.condition(shape, depth)} then {one} else {two})",
            f"(if {self.pick('rows >= cols', 'rows < cols', 'step == 2')} then {one} else {other})",
            f"max({one}, {two}, {self.pick('-2', '0.1', two)})",
            f"min({one}, {two})",
            f"-({one})",
            f"({one})**{self.pick('2', '3', '1')}",
            f"abs({one})**{self.pick('0.5', '1.5', '2.5')}",
            f"2**-abs({one})",
            f"sqrt(abs({one}) + {self.pick('0', '0.1', '1e-8')})",
            f"exp(-abs({one}))",
            f"log(1 + abs({one}))",
            f"floor(2*({one}))",
            f"sign({one}) * {two}",
            f"(({one})' * ({other})')'",
            f"({one}) * {self.scalar()}",
            f"({self.scalar()} - ({one}))",
            f"({one}) / {self.pick('3', '(2 + step)', 'sqrt(rows)')}",
        )

    def orthogonalize(self) -> str:
        return block("orthogonalize", iteration_lines(self.random, self.hyper(), self.hyper()))

    # The ends of a step.

    def decay(self) -> str:
        self.reach = {MATRIX: ["update", "gradient", "parameter"]}
        shrunk, new = f"parameter * (1 - lr*{self.hyper()})", f"tanh({self.expression(MATRIX)})"
        lines = [f"parameter <- {self.pick('parameter', shrunk, new)}"]
        if self.chance(0.5):
            lines.insert(0, "let same = update * parameter >= 0")
            lines.append(f"parameter <- parameter - 0.1*(if same then {self.expression(MATRIX, 1)} else 0)")
        return block("decay", lines)

    def otherwise(self) -> str:
        """Parameters of any shape: whole reductions, states of the parameter's shape and of one number."""
        lines, known = [], ["update", "gradient", "parameter"]
        for _ in range(self.random.randint(0, 2)):
            name, shape = self.name(), self.pick(MATRIX, ONE)
            lines.append(f"state {name}{'' if shape == MATRIX else '[1, 1]'} = {self.pick('zeros', 'ones')}")
            value = (
                self.pick(f"norm({self.pick(*known)})", f"mean({self.pick(*known)})")
                if shape == ONE
                else self.pick(*known)
            )
            value = self.pick(value, f"{value} / (1 + norm(update))", f"tanh({value}) * {self.scalar(is_flat=True)}")
            if shape == ONE:
                value = f"max({value})"
            lines.append(
                self.pick(f"{name} <- lerp({name}, {value}, {self.weight()})", f"{name} <- 0.5*{name} + {value}")
            )
            known.append(name)
        for _ in range(self.random.randint(1, 3)):
            one, two = self.pick(*known), self.pick(*known)
            size = self.pick("sum", "mean", "max", "min", "norm")
            added = self.pick(
                f"{one} / (1 + norm({two}))",
                f"(if {one} > {size}({two}) then {one} else 0.5)",
                f"{self.scalar(is_flat=True)} * {two}",
                f"tanh({one}) * {size}({two} * {one}) / numel",
                f"(if step == 2 then {one} else {one} + {two})",
            )
            lines.append(f"update <- update + {added}")
        if self.chance(0.5):
            lines.append(f"parameter <- 0.5*parameter - 0.1*tanh({self.pick(*known)})")
        lines.append("update <- " + " + ".join(known))
        return block("otherwise", lines)


def block(stage: str, lines: list[str]) -> str:
    return "\n".join([f"{stage} {{", *(f"  {line}" for line in lines), "}"])
