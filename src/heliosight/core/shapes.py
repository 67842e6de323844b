"""The legend of axis letters, the same everywhere.

Images are `(B, C, T, H, W)`, a series `(B, S, V)`, a forecast `(B, L)` or `(B, L, Q)`.
"""

LEGEND = {
    "B": "batch (window)",
    "C": "image channel",
    "T": "image frame, oldest first",
    "H": "pixel row, north up",
    "W": "pixel column, solar west right",
    "S": "series step, oldest first",
    "V": "variable",
    "L": "lead, 3 h each",
    "D": "forecast day 1, 2, 3",
    "Q": "quantile level, ascending",
    "G": "NOAA storm class G1, G2, G3",
    "N": "issue time, ascending",
    "F": "feature",
}
