"""The tensor program: types, scalars, nodes, verifier, printer, and the interpreter that is the oracle."""
