"""What the course has besides text.

- Captions of excerpts link to the source and to the reference.
- ``.. animation:: path`` runs a script that makes a matplotlib animation called ``animation``, and
  shows its frames with a slider. They are part of the page, which needs no network.
- ``.. worth::`` is a table from the records of the ablation as they are when the page is built.
- Each chapter becomes a notebook, which is linked at its top.
"""

import base64
import io
import json
import runpy
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from docutils import nodes
from docutils.parsers.rst import directives
from matplotlib.animation import AbstractMovieWriter
from sphinx.directives.code import LiteralInclude
from sphinx.util.docutils import SphinxDirective

from _notebooks import CHAPTER, make_notebook
from skscratch import nn

DOCS = Path(__file__).parents[1]


# Excerpts -----------------------------------------------------------------------------------------


class Excerpt(LiteralInclude):
    """A ``literalinclude`` whose caption, the path of a file of the network, is linked."""

    def run(self):
        """Link the caption, and go on as usual."""
        path, name = self.options.get("caption", ""), self.options.get("pyobject", "")
        if path.startswith("skscratch/nn/") and name:  # others have no page of their source
            page = f"../_modules/{path.removesuffix('.py')}.html"
            public = name.split("._")[0]  # the class of a private method
            if name.split(".")[0] in nn.__all__:
                self.options["caption"] = (
                    f"`{path} <{page}#{public}>`__, in the reference: "
                    f":obj:`{public} <skscratch.nn.{public}>`"
                )
            else:
                self.options["caption"] = f"`{path} <{page}>`__, ``{name}``"
        return super().run()


# Animations ---------------------------------------------------------------------------------------

PLAYER = """
<div class="animation">
<img alt="{alt}" src="data:image/png;base64,{last}" style="display: block; width: {width}px">
<div style="display: flex; gap: .75rem; max-width: {width}px">
<button type="button" class="btn btn-sm btn-outline-secondary">Play</button>
<input type="range" min="0" max="{highest}" value="{highest}" style="flex: 1"
 aria-label="Frame of the animation">
</div>
<script>
(() => {{
  const root = document.currentScript.parentElement;
  const [image, button, slider] = ["img", "button", "input"].map(s => root.querySelector(s));
  const frames = {frames};
  let timer = null;
  const show = () => {{ image.src = "data:image/png;base64," + frames[slider.value]; }};
  const stop = () => {{ clearInterval(timer); timer = null; button.textContent = "Play"; }};
  const step = () => {{
    slider.value = +slider.value + 1;
    show();
    if (slider.value === slider.max) stop();
  }};
  slider.addEventListener("input", () => {{ stop(); show(); }});
  button.addEventListener("click", () => {{
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    show();
    button.textContent = "Stop";
    timer = setInterval(step, {interval});
  }});
}})();
</script>
</div>
"""
"""Shows the last frame at first, which is all there is where scripts are off."""
DPI = 80


class Frames(AbstractMovieWriter):
    """A writer that keeps the frames, as PNG in base64."""

    frames: list[str]

    def setup(self, fig, outfile, dpi=None):
        """Begin with no frames."""
        super().setup(fig, outfile, dpi)
        self.frames = []

    def grab_frame(self, **savefig_kwargs):
        """Keep the figure as it is now."""
        room = io.BytesIO()
        self.fig.savefig(room, format="png", dpi=self.dpi, **savefig_kwargs)
        self.frames.append(base64.b64encode(room.getvalue()).decode())

    def finish(self):
        """Do nothing, as there is no file to close."""


class Animation(SphinxDirective):
    """The frames of a script's animation with a slider; the content is the caption."""

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012 - docutils wants it so
        "alt": directives.unchanged_required,
        "interval": directives.positive_int,
    }

    def run(self):
        """Return the figure."""
        source, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(source)
        writer = Frames()
        animation = runpy.run_path(path)["animation"]
        animation.save("unused", writer=writer, dpi=DPI)
        frames = writer.frames
        html = PLAYER.format(
            alt=self.options["alt"].replace("\n", " "),
            width=round(writer.fig.get_figwidth() * DPI),
            last=frames[-1],
            highest=len(frames) - 1,
            frames=json.dumps(frames),
            interval=self.options.get("interval", 150),
        )
        plt.close("all")
        figure = nodes.figure("", nodes.raw("", html, format="html"), align="default")
        figure["script"] = self.arguments[0]
        words = [*self.content, f":download:`Source code <{self.arguments[0]}>`"]
        caption, messages = self.parse_inline(" ".join(words))
        figure += nodes.caption("", "", *caption)
        return [figure, *messages]


# What the parts of the defaults are worth ---------------------------------------------------------

PARTS = {
    "several networks": "n_networks=1",
    "the cosine schedule": "lr_schedule='constant'",
    "SiLU in place of ReLU": "activation='relu'",
    "learned scales": "feature_scaling='robust'",
    "robust scaling, and learned scales": "feature_scaling=None (behind a StandardScaler)",
    "label smoothing": "label_smoothing=0",
    "the temperature": "calibrate=False",
}
"""For each part of the defaults, the variant of the ablation that goes without it."""
COLUMNS = {
    "classification, error": ("classification", "error"),
    "log loss": ("classification", "loss"),
    "regression, 1 - R2": ("regression", "error"),
}
UNMEASURED = "not measured yet"


def worth_rows(saved):
    """Return a row of text for each part: what its absence changes, and the time of a fit.

    Parameters
    ----------
    saved : dict or None
        What ``_protocol.read_results`` returns for the ablation.
    """
    import _protocol as protocol
    import ablation

    runs = protocol.Runs([] if saved is None else saved["records"])
    rows = []
    for part, variant in PARTS.items():
        pair = (variant, ablation.DEFAULTS)
        cells = []
        for task, measure in COLUMNS.values():
            if variant in ablation.CLASSIFIER_PARTS and task != protocol.CLASSIFICATION:
                cells.append("has none")
                continue
            found = runs.of(task=task).estimate(protocol.relative, pair, measure)
            if found is None:
                cells.append(UNMEASURED)
            else:
                cells.append(protocol.show(found, protocol.percent, found.n_sets))
        time = runs.estimate(protocol.total, pair, "fit_seconds")
        cells.append(UNMEASURED if time is None else protocol.factor(time.value))
        rows.append([part, f"``{variant.split(' (')[0]}``", *cells])
    return rows


class Worth(SphinxDirective):
    """The table of what each part of the defaults is worth, from the committed records."""

    def run(self):
        """Return the table."""
        from _protocol import read_results

        results = DOCS / "benchmarks" / "results"
        self.env.note_dependency(str(results / "ablation.jsonl"))
        header = ["without", "variant", *COLUMNS, "fit time"]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in [header, *worth_rows(read_results(results, "ablation"))]:
            marks = ["   * -", *["     -"] * (len(row) - 1)]
            lines += [f"{mark} {cell}" for mark, cell in zip(marks, row, strict=True)]
        return self.parse_text_to_nodes("\n".join(lines) + "\n")


# Notebooks ----------------------------------------------------------------------------------------


def link_notebook(app, docname, source):
    """Add a link below a chapter's title."""
    if CHAPTER.fullmatch(docname):
        title, line, rest = source[0].split("\n", 2)
        name = docname.split("/")[1]
        link = f"`Download this chapter as a notebook <{name}.ipynb>`__"
        source[0] = f"{title}\n{line}\n\n{link}\n{rest}"


def write_notebooks(app, exception):
    """Write a notebook beside the page of each chapter."""
    if exception is not None or app.builder.format != "html":
        return
    for docname in filter(CHAPTER.fullmatch, app.env.all_docs):
        notebook = make_notebook(app.env.get_doctree(docname), Path(app.env.doc2path(docname)))
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        Path(app.outdir, f"{docname}.ipynb").write_text(text, "utf-8")


def setup(app):
    """Connect all of it."""
    sys.path.append(str(DOCS / "benchmarks"))
    app.add_directive("literalinclude", Excerpt, override=True)
    app.add_directive("animation", Animation)
    app.add_directive("worth", Worth)
    app.connect("source-read", link_notebook)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": False}
