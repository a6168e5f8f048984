"""How Sphinx builds the documentation: ``make docs``, into ``build/docs``."""

import ast
import inspect
import shutil
import tomllib
from pathlib import Path

import sercue

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "reports" / "demo"

project = "sercue"
author = "the sercue authors"
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"sercue {release}"
html_show_copyright = False
html_copy_source = False
# As MathML, which browsers draw themselves: the default loads a script from the network.
html_math_renderer = "mathml"
autodoc_member_order = "bysource"
autosummary_generate = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88

#: Pages of the API reference: the title of each, and the rooms whose public names it describes.
API = {
    "corpora": ("Corpora", ["corpora"]),
    "tokens": ("Features, tokens and conditions", ["features", "tokens"]),
    "models": ("Models and answers", ["models", "answers"]),
    "studies": ("Studies", ["settings", "check", "run", "study", "distributed", "errors"]),
    "statistics": ("Statistics", ["statistics"]),
    "figures": ("Figures", ["plots"]),
    "tables": ("Tables, examples and sentences", ["tables", "notation"]),
    "reports": ("Reports", ["report"]),
}


def setup(app):
    """Write the API reference, which is made from docstrings, and copy the example reports."""
    write_api(HERE / "api")
    app.add_html_math_renderer("mathml", (write_math, None), (write_math, None))
    app.connect("autodoc-process-signature", without_keys)
    app.connect("autodoc-process-docstring", with_defaults, priority=400)
    if (EXAMPLE / "index.html").is_file():
        app.tags.add("example")
        app.connect("build-finished", copy_example)


def write_api(folder):
    """Write the pages of the API reference from the list of public names in ``sercue``."""
    source = ast.parse(inspect.getsource(sercue))
    (listed,) = (
        keyword.value
        for node in ast.walk(source)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "submod_attrs"
    )
    rooms = {}
    for module, names in ast.literal_eval(listed).items():
        rooms.setdefault(module.split(".")[0], []).extend((name, module) for name in names)
    folder.mkdir(exist_ok=True)
    for page, (title, of_page) in API.items():
        described = [pair for room in of_page for pair in rooms.pop(room, [])]
        lines = [title, "=" * len(title), "", ".. currentmodule:: sercue", ""]
        lines += [".. autosummary::", "   :nosignatures:", ""]
        lines += [f"   {name}" for name, _ in described if callable(getattr(sercue, name))]
        for name, module in described:
            value = getattr(sercue, name)
            if inspect.isclass(value):
                lines += ["", f".. autoclass:: {name}", "   :members:"]
            elif callable(value):
                lines += ["", f".. autofunction:: {name}"]
            else:
                lines += ["", f".. autodata:: sercue.{module}.{name}", "   :no-value:"]
        (folder / f"{page}.rst").write_text("\n".join([*lines, ""]))
    if rooms:
        raise ValueError(f"docs/conf.py: API has no page for {', '.join(rooms)}")


def without_keys(app, what, name, value, options, signature, returned):
    """The signature of ``Settings`` would repeat all keys with their checks."""
    return ("(**keys)", None) if value is sercue.Settings else (signature, returned)


def with_defaults(app, what, name, value, options, lines):
    """Name the default of each study key, where a type would stand."""
    if value is not sercue.Settings:
        return
    for place, line in enumerate(lines):
        key = line.strip().partition(":")[0]
        if key in value.model_fields:
            default = value.model_fields[key].default
            lines[place] = line.replace(f"{key}:", f"{key} (``{default!r}``):", 1)


def write_math(translator, node):
    """Write a formula in the text or on a line of its own."""
    # Here, since a test reads this file where Sphinx need not be installed.
    from docutils import nodes
    from docutils.utils.math import latex2mathml

    block = isinstance(node, nodes.math_block)
    translator.body.append(latex2mathml.tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def copy_example(app, error):
    """Copy the reports of the demo beside the pages, if there are any."""
    folder = Path(app.outdir) / "demo"
    folder.mkdir(exist_ok=True)
    for page in EXAMPLE.glob("*.html"):
        shutil.copy(page, folder)
