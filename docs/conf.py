"""Sphinx configuration: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``."""

import sys
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
from docutils import nodes
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # makes it importable
from sphinx import addnodes

import skscratch

sys.path.insert(0, str(Path(__file__).with_name("_extensions")))

project = "skscratch"
author = "the skscratch developers"
copyright = "the skscratch developers"
release = version = skscratch.__version__

extensions = [
    "course",  # ours, in _extensions
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "matplotlib.sphinxext.figmpl_directive",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",  # pages render without a network
]
exclude_patterns = ["_build", "_extensions", "auto_examples/**/*.ipynb", "auto_examples/**/*.md5"]
templates_path = ["_templates"]
nitpicky = True
# The scripts that write the benchmark pages begin their sections at the third level.
suppress_warnings = ["myst.header"]

# Single backticks name objects: ours are linked to their pages, scikit-learn's to its website.
default_role = "py:obj"

autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
# Members stand on the page of their class, each with its whole docstring.
numpydoc_show_class_members = False

plot_basedir = "course"  # whose figures are scripts of their own
plot_formats = [("png", 110)]
plot_srcset = ["2x"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_rcparams = {"figure.constrained_layout.use": True, "axes.grid": True, "grid.alpha": 0.3}
plot_apply_rcparams = True


sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "api/generated/backreferences",
    "doc_module": ("skscratch",),
    "reference_url": {"skscratch": None},
    "image_srcset": ["2x"],
    "thumbnail_size": (640, 480),  # what the grid of skscratch.css shows at half of it
    # What has no HTML of its own would show as text, objects as their addresses.
    "capture_repr": ("_repr_html_",),
    "show_signature": False,
    "write_computation_times": False,
    "nested_sections": False,
    # An error at the end of the build would keep the extensions after this one from copying what
    # all pages need: MathJax, and the colors of code. With -W a warning fails the build as well.
    "only_warn_on_example_error": True,
}

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"skscratch {release}"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["skscratch.css"]
html_copy_source = False
html_theme_options = {
    "logo": {"text": "skscratch"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {"index": [], "changelog": []}


# References ---------------------------------------------------------------------------------------

# Where to look for a name of ours that stands alone; `fit` is the classifier's.
PREFIXES = (
    "skscratch",
    "skscratch.ScratchMLPClassifier",
    "skscratch._comparison.show",
    "skscratch._range_test",
    "skscratch.nn",
    "skscratch.callbacks",
    "skscratch.inspection",
    "skscratch.model_selection",
)
SKLEARN_WEBSITE = "https://scikit-learn.org/stable"
WEBSITES = {
    "pandas": "https://pandas.pydata.org/docs/reference/api",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated",
}


@cache
def sklearn_pages():
    """Return the web page of what is public in scikit-learn, by its name, short and full."""
    from sklearn import callback
    from sklearn.utils import discovery

    listed = [*discovery.all_estimators(), *discovery.all_functions(), *discovery.all_displays()]
    listed += [(name, getattr(callback, name)) for name in callback.__all__]
    pages = {}
    for name, value in listed:
        module = value.__module__.split("._")[0]
        pages[module] = f"{SKLEARN_WEBSITE}/api/{module}.html"
        page = f"{SKLEARN_WEBSITE}/modules/generated/{module}.{name}.html"
        pages[name] = pages[f"{module}.{name}"] = page
    return pages


def resolve_reference(app, env, node, contnode):
    """Link what the Python domain does not find by itself.

    Objects that are public in two modules have one page: ``skscratch.nn.Adam`` is that of
    ``skscratch.Adam``. scikit-learn's and others' objects are linked to their websites, which takes
    no inventory from the network.
    """
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    domain = env.domains.python_domain
    short = name.removeprefix("skscratch.nn.").removeprefix("skscratch.")
    for prefix in PREFIXES:
        full = f"{prefix}.{short}"
        if full in domain.objects:
            return domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", full, node, contnode
            )
    page = sklearn_pages().get(name)
    website = WEBSITES.get(name.split(".")[0])
    if website and "." in name:
        page = f"{website}/{name}.html"
    return page and nodes.reference("", "", contnode, internal=False, refuri=page)


def add_anchors(app, doctree):
    """Give each object the anchors that viewcode's way back from the source may lead to.

    It takes all that a file defines to be public in one module, and so ``skscratch.Optimizer`` to
    be where ``skscratch.Adam`` is, and the range test where its result's class is.
    """
    for signature in doctree.findall(addnodes.desc_signature):
        name = signature.get("fullname", "")
        public = getattr(skscratch, name.split(".")[0], None)
        for module in ("skscratch", getattr(public, "__module__", "skscratch")):
            if f"{module}.{name}" not in signature["ids"]:
                signature["ids"].append(f"{module}.{name}")


def skip_sklearn_members(app, what, name, obj, skip, options):
    """Leave out what scikit-learn documents, such as ``set_fit_request``."""
    if (getattr(obj, "__module__", None) or "").startswith("sklearn."):
        return True
    return None


def setup(app):
    """Connect the functions above."""
    # Where there is no screen, the examples write their figures to files. The gallery is one.
    plt.get_backend = lambda: "sphinx-gallery"
    app.connect("doctree-read", add_anchors)
    app.connect("missing-reference", resolve_reference)
    app.connect("autodoc-skip-member", skip_sklearn_members)
