"""Sphinx builds this folder's pages and the API's docstrings; `make docs` takes no warning."""

import re
import sys
from importlib import metadata, util
from pathlib import Path
from typing import Any

project = "heliosight"
author = "heliosight founders"
project_copyright = "heliosight founders, BSD-3-Clause"
release = metadata.version("heliosight")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "gallery", "examples"]

html_theme = "furo"
html_title = "heliosight"
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"
# links out of the site (to files of the repository) are read on its front page, not here
# a described attribute (`config`) is also looked up as a reference, which several classes answer
suppress_warnings = ["myst.xref_missing", "ref.python"]


API = """# API reference

Shapes carry the letters of `heliosight.core.shapes`; units stand with every variable."""
SECTION = """## {name}

```{{eval-rst}}
.. automodule:: heliosight.{name}
```
"""
SECTIONS = ("Attributes", "Parameters", "Raises", "Returns")


def plain(*event: Any) -> None:
    """Write docstrings as Sphinx reads them.

    |x| is a magnitude and x* a star, not marks. `name : text` describes a parameter, where numpy's
    convention would expect its type, which the signature already gives.
    """
    lines: list[str] = event[-1]
    within, written = False, []
    for line in lines:
        within = line in SECTIONS or (within and bool(re.match(r"-|\s|$|\w+(, \w+)* : ", line)))
        entry = re.match(r"(\w+(?:, \w+)*) : (.*)", line) if within else None
        written += [entry[1], f"    {escaped(entry[2])}"] if entry else [escaped(line)]
    lines[:] = written


def escaped(line: str) -> str:
    """The line with |, * and a trailing _ escaped outside of code."""
    pieces = re.split(r"(`[^`]*`)", line)
    return "".join(
        piece if piece.startswith("`") else re.sub(r"(?<!\\)([|*]|_\b)", r"\\\1", piece)
        for piece in pieces
    )


def api_pages() -> None:
    """One page a room under api/, one section a module, so that no module can be forgotten."""
    package = Path(next(iter(util.find_spec("heliosight").submodule_search_locations)))
    folder = Path(__file__).parent / "api"
    folder.mkdir(exist_ok=True)
    rooms = sorted(p.parent for p in package.glob("*/__init__.py") if p.parent.name != "conf")
    for room in rooms:
        modules = sorted(p.stem for p in room.glob("*.py") if p.stem != "__init__")
        sections = [SECTION.format(name=f"{room.name}.{m}") for m in modules]
        _write(folder / f"{room.name}.md", f"# heliosight.{room.name}\n\n" + "\n".join(sections))
    entries = "\n".join(room.name for room in rooms)
    _write(folder / "index.md", f"{API}\n\n```{{toctree}}\n:maxdepth: 1\n{entries}\n```\n")


def _write(path: Path, text: str) -> None:
    """Only what has changed: a page that was touched is read again."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def gallery() -> None:
    """Run the gallery: pictures and answers of the pages under checks/ and methods/."""
    sys.path.insert(0, str(Path(__file__).parent / "gallery"))
    from build import make_all

    make_all()


def setup(app: Any) -> None:
    """Connect the above before napoleon reads the sections."""
    app.connect("builder-inited", lambda _: (api_pages(), gallery()))
    app.connect("autodoc-process-docstring", plain, priority=100)
