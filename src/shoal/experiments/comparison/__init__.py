"""Models compared on the same users: fits, measurements, tests of differences, and the verdict.

`entrant` says what takes part, `measure` fits and evaluates it with one seed (a `Cell`), and
`conclude` makes a `Comparison` of cells. `compare` does all of this for models of one split.
"""
