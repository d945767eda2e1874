"""Random specs that mean something: blocks of statements over states, locals, products, reductions and loops.

Every expression is bounded (sums are divided, products are of bounded matrices), so that rounding stays explained.
"""

from __future__ import annotations

from random import Random

SHAPES = ("rows, cols", "rows, 1", "1, cols", "1, 1", "long", "short")


class SpecWriter:
    """Writes one spec from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.lines: list[str] = []
        self.matrices = ["update", "gradient", "parameter"]
        self.vectors: list[str] = []
        self.states: list[str] = []
        self.count = 0

    def text(self) -> str:
        stages = [self.momentum(), self.orthogonalize()]
        if self.random.random() < 0.6:
            stages.append(self.adapt())
        stages += ["scale 0.5 * sqrt(max(1, rows / cols)) * (1 + 1 / step)", self.decay()]
        if self.random.random() < 0.4:
            stages.append(self.project())
        head = ["optimizer Random", "hyper lr = 0.1", "hyper momentum = 0.9 in [0, 1)", "hyper weight_decay = 0.1"]
        if not any("weight_decay" in stage for stage in stages):
            head.remove("hyper weight_decay = 0.1")
        return "\n".join([*head, *stages, ""])

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def name(self) -> str:
        self.count += 1
        return self.pick("x", "momentum", "lambda", "scaled", "torch", "update_2", "y") + f"_{self.count}"

    def block(self, stage: str, lines: list[str]) -> str:
        return "\n".join([f"{stage} {{", *(f"  {line}" for line in lines), "}"])

    def momentum(self) -> str:
        lines = []
        for number in range(self.random.randint(1, 3)):
            shape = self.pick(*SHAPES)
            initial = self.pick("zeros", "ones", "0.5")
            if shape == "rows, cols":
                initial = self.pick("zeros", "ones", "0.5", "gradient", "parameter")
                self.matrices.append(f"s{number}")
            else:
                self.vectors.append(f"s{number}")
            self.states.append(f"s{number}")
            lines.append(f"state s{number}[{shape}] = {initial}")
            lines.append(f"s{number} <- {self.state_value(f's{number}', shape)}")
        lines += [line for _ in range(self.random.randint(0, 3)) for line in self.statement()]
        lines += [f"s{n} <- {self.pick('0.5*', '-', '')}s{n}" for n in range(1) if self.random.random() < 0.4]
        lines += self.swapped()
        lines.append(f"update <- {self.used_states()} + {self.matrix()}")
        self.vectors.clear()
        self.matrices = ["update", "gradient", "parameter"]
        return self.block("momentum", lines)

    def swapped(self) -> list[str]:
        """Two states of one shape change places, or one takes the old value of the other."""
        pair = [state for state in self.states if state in self.matrices][:2]
        if len(pair) < 2 or self.random.random() < 0.3:
            return []
        one, two = pair
        self.count += 1
        kept = f"kept_{self.count}"
        kind = self.pick("swap", "rotate", "choose")
        if kind == "choose":
            return [f"{one} <- if rows > cols then {two} else gradient"]
        return [
            f"let {kept} = {one}",
            f"{one} <- {two if kind == 'swap' else f'{one} + 0.1*update'}",
            f"{two} <- {kept}",
        ]

    def used_states(self) -> str:
        """Every state has to be read."""
        return " + ".join(f"0.1*{state}" for state in self.states) + " + momentum*gradient"

    def state_value(self, state: str, shape: str) -> str:
        source = self.pick("update", "gradient", "parameter")
        reduced = {
            "rows, cols": source,
            "rows, 1": f"mean({source} * {source}, over = cols)",
            "1, cols": f"mean({source}, over = rows)",
            "1, 1": f"norm({source})",
            "long": f"mean({source} * {source}, over = short)",
            "short": f"max({source}, over = long)",
        }[shape]
        old = self.pick(f"lerp({state}, {reduced}, 0.3)", f"0.7*{state} + {reduced}", f"{reduced} + 0.5*{state}")
        return self.pick(old, old, old, f"tanh({state} - {reduced})", f"max({reduced}, 0.9*{state})")

    def orthogonalize(self) -> str:
        lines = [f"update <- update / ({self.pick('norm(update) + 1e-3', 'max(norm(update), 0.01)')})"]
        kind = self.random.random()
        if kind < 0.5:
            steps = self.random.randint(1, 4)
            lines.append(f"for (a, b) in take([(1.5, -0.5), (1.4, -0.4)], {steps}) {{")
            lines.append("  update <- a*update + (b*(update @ update')) @ update")
            lines.append("}")
        elif kind < 0.8:
            lines += [
                "let gram = update @ update'",
                f"let side = {self.pick('0.5*gram + gram @ gram', 'gram', 'tanh(gram)', 'gram - 0.1*(gram @ gram)')}",
                "update <- "
                + self.pick("side @ update", "update - 0.5*(side @ update)", "update + sign(side) @ update"),
            ]
        else:
            lines.append("update <- update - 0.5*(update @ (update' @ update))")
        return self.block("orthogonalize", lines)

    def adapt(self) -> str:
        lines = [line for _ in range(self.random.randint(1, 4)) for line in self.statement()]
        lines.append(f"update <- {self.matrix()} + 0.5*update" if not self.vectors else f"update <- {self.uses_all()}")
        self.vectors.clear()
        self.matrices = ["update", "gradient", "parameter"]
        return self.block("adapt", lines)

    def project(self) -> str:
        lines = [
            self.pick(
                "parameter <- parameter * (norm(previous) / (1 + norm(parameter)))",
                "parameter <- lerp(parameter, previous, 0.25)",
                "spectral_clip(0.5) on parameter",
                "row_normalized(1) on parameter",
            )
        ]
        if self.random.random() < 0.5:
            lines.append(f"parameter <- parameter - 0.1*{self.matrix()}")
        return self.block("project", lines)

    def whole(self) -> list[str]:
        """Functions of matrices as wholes, of arguments for which small errors stay small."""
        name, x = self.name(), self.matrix()
        return self.random.choice(
            [
                [f"let (_, {name}, _) = svd({x})", f"update <- update / (1 + sum({name}))"],
                [
                    f"let ({name}, {name}_s, {name}_v) = svd({x})",
                    f"update <- update + 0.1 * ({name} * min({name}_s, 1)) @ {name}_v",
                ],
                [f"update <- update * (1 + 0.1*quantile({x}, {self.pick('0', '0.3', '1', '1 / step')}))"],
                [f"let {name} = ({x})' @ update", f"update <- update * trace({name}) / (1 + norm({name}))"],
                [
                    f"let {name} = update @ update'",
                    f"update <- solve_lower({name} + identity({name}) * (1 + norm({name})), update)",
                ],
                [
                    f"let {name} = oriented({x})",
                    f"aol(1) on {name}",
                    f"update <- update + oriented({name} / (1 + norm({name}, over = {self.pick('first', 'last')})))",
                ],
            ]
        )

    def uses_all(self) -> str:
        return "update + " + " + ".join(f"0.1*{name}" for name in self.vectors)

    def decay(self) -> str:
        lines = [f"parameter <- {self.pick('parameter * (1 - lr*weight_decay)', 'parameter - lr*0.1*update')}"]
        if self.random.random() < 0.5:
            lines.insert(0, "let same = update * parameter >= 0")
            lines.append("parameter <- parameter - lr*weight_decay*(if same then parameter else 0)")
        return self.block("decay", lines)

    def statement(self) -> list[str]:
        """A few statements that read and change what is in reach; whatever is declared is read as well."""
        if self.random.random() < 0.15:
            return self.whole()
        name, kind = self.name(), self.random.random()
        if kind < 0.3:
            return [f"let {name} = {self.matrix()}", f"update <- update + 0.1*{name}"]
        if kind < 0.5:
            axis = self.pick("rows", "cols", "short", "long")
            function = self.pick("sum", "mean", "norm", "max")
            factor = self.pick(f"{name} / (rows + cols)", f"0.01*{name}")
            return [f"let {name} = {function}({self.matrix()}, over = {axis})", f"update <- update + {factor}"]
        if kind < 0.7:
            target = self.pick("update", "update")
            return [f"{target} <- {self.matrix()}", f"update <- {self.matrix()} - 0.3*update"]
        if kind < 0.85:
            return [
                f"let {name} = {self.pick('0.5', 'momentum', '1 - 1 / (1 + step)', 'rows / (rows + cols)')}",
                f"update <- lerp(update, {self.matrix()}, {name})",
            ]
        return [
            f"in {self.pick('bf16', 'fp32')} {{",
            f"  let {name} = {self.matrix()}",
            f"  update <- {name} * {self.pick('0.5', 'tanh(update)', f'{name}')}",
            "}",
        ]

    def matrix(self, depth: int = 0) -> str:
        leaf = self.random.choice(self.matrices)
        if depth > 2 or self.random.random() < 0.3:
            return leaf
        one, two = self.matrix(depth + 1), self.matrix(depth + 1)
        return self.pick(
            f"({one} + {two})",
            f"({one} - 0.5*{two})",
            f"tanh({one}) * {two}",
            f"(if {one} > 0.1 then {two} else 0)",
            f"(if rows > cols then {one} else {two})",
            f"(if {one} > 0.1 and not {two} > 1 or rows == 1 then 1 else -0.5) * {two}",
            f"lerp(0.25, 0.75, step / (rows + 1)) * {one}",
            f"{one} * (2 + sign(step - 2))",
            f"{one} / (1 + norm({two}, over = {self.pick('rows', 'cols', 'short', 'long')}))",
            f"max({one}, {two}, -2)",
            f"abs({one})",
            f"lerp({one}, {two}, 0.25)",
            f"{one} / (1 + norm({two}))",
            f"(({one})')'",
            f"-{one}",
            f"min({one}, 3)",
        )
