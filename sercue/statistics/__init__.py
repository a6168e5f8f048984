"""Inference on the answers of a study: intervals and tests that hold for few speakers.

Paired throughout, since the same utterances are answered under every condition; the speaker is
the unit, since utterances of one speaker are alike. What each function holds for was simulated
(``tests/calibration``), and where a usual choice fails its docstring says so.
"""
