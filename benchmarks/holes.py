"""Coronal-hole masks against 15 hand-checked ones, with thresholds chosen without the image scored.

    python benchmarks/holes.py FOLDER [--size 64|256]

FOLDER holds `aia193_1024/*.png` and `aia193_1024_masks/*.png`. The thresholds that ship were chosen
on these same images; here each image is scored with those that are best on the other fourteen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from heliosight.explain.holes import HOLES, find_regions, intersection_over_union

CORES, EDGES = (-2.5, -2.75, -3.0, -3.25, -3.5), (-1.25, -1.5, -1.75, -2.0, -2.25)


def pairs(folder: Path, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Image `(H, W)` and mask `(H, W)` bool of each name, at `size` pixels across."""
    for path in sorted((folder / "aia193_1024").glob("*.png")):
        with Image.open(path) as picture, Image.open(folder / "aia193_1024_masks" / path.name) as m:
            red = np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BOX))
            drawn = np.asarray(m.convert("L").resize((size, size), Image.Resampling.BOX)) > 127
        yield red[..., 0], drawn


def overlaps(folder: Path, size: int) -> dict[tuple[float, float], np.ndarray]:
    """Intersection over union of every image `(N,)` by core and edge threshold."""
    known = list(pairs(folder, size))
    found = {}
    for core, edge in product(CORES, EDGES):
        config = replace(HOLES, core=core, edge=edge)
        scores = [intersection_over_union(find_regions(x, config) > 0, m) for x, m in known]
        found[core, edge] = np.array(scores)
    return found


def left_out(table: dict[tuple[float, float], np.ndarray]) -> np.ndarray:
    """Each image's overlap with the thresholds of the highest mean over the others, `(N,)`."""
    scores = np.stack(list(table.values()))
    others = scores.sum(1, keepdims=True) - scores
    return np.take_along_axis(scores, others.argmax(0)[None], 0)[0]


def main() -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    table = overlaps(args.folder, args.size)
    shipped = table[HOLES.core, HOLES.edge]
    honest = left_out(table)
    print(
        json.dumps(
            {
                "size": args.size,
                "images": len(honest),
                "shipped": round(float(shipped.mean()), 3),
                "left_out": round(float(honest.mean()), 3),
                "lowest_left_out": round(float(honest.min()), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
