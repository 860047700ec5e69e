"""Chapters as notebooks: code becomes cells that run, and all else becomes Markdown.

Doctest blocks become code without the printed results, which the reader's run gives. Scripts that
draw a figure, and files to work with, become cells as a whole. Excerpts of the source are quoted.
"""

import doctest
import re
import textwrap
from pathlib import Path

from docutils import nodes
from matplotlib.sphinxext.figmpl_directive import figmplnode
from sphinx import addnodes

CHAPTER = re.compile(r"course/(?!index$)\w+")
LAYOUT = (nodes.comment, nodes.raw, nodes.substitution_definition, nodes.system_message)
FIGURE = "def draw_figure():\n{}\n\n\ndraw_figure()"
ANIMATION = """from IPython.display import HTML


def make_animation():
{}
    return animation


HTML(make_animation().to_jshtml())"""


def make_notebook(doctree, path):
    """Return a chapter as a notebook, in the form of its JSON.

    Parameters
    ----------
    doctree : docutils.nodes.document
        The chapter, its references not resolved.
    path : pathlib.Path
        The chapter's file.
    """
    cells = list(Chapter(path).cells(doctree))
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def doctest_cells(text):
    """Return the code of a doctest block in parts, each up to a result, and whether it raises."""
    parts, lines = [], []
    # Without its options, as those of pytest are unknown elsewhere.
    text = re.sub(r"  # doctest: .*", "", text)
    for example in doctest.DocTestParser().get_examples(text):
        lines.append(example.source)
        if example.want:
            parts.append(("".join(lines).rstrip(), example.exc_msg is not None))
            lines = []
    return [*parts, ("".join(lines).rstrip(), False)] if lines else parts


class Chapter:
    """What turns the nodes of a chapter into text."""

    def __init__(self, path):
        self.folder, self.count = path.parent, 0

    def cells(self, doctree):
        """Yield the cells."""
        text = ['Needs `pip install "skscratch[plots]"`.']
        for node in self.flat(doctree, level=0):
            parts = self.code(node)
            if not parts:
                text.append(self.block(node))
                continue
            if any(text):
                yield self.cell("markdown", "\n\n".join(filter(None, text)))
            for code, raises in parts:
                yield self.cell("code", code, ["raises-exception"] * raises)
            text = [self.caption(node)]
        yield self.cell("markdown", "\n\n".join(filter(None, text)))

    def cell(self, kind, source, tags=()):
        """Return a cell."""
        self.count += 1
        return {
            "cell_type": kind,
            "id": f"cell-{self.count}",
            "metadata": {"tags": list(tags)} if tags else {},
            "source": source,
            **({"execution_count": None, "outputs": []} if kind == "code" else {}),
        }

    def flat(self, parent, level):
        """Yield what stands in a section and in those below it, headings with their level."""
        for node in parent.children:
            if isinstance(node, nodes.section):
                yield from self.flat(node, level + 1)
            elif isinstance(node, nodes.title):
                node["level"] = level
                yield node
            elif isinstance(node, nodes.enumerated_list):  # exercises, which may have code to run
                for number, item in enumerate(node, start=node.get("start", 1)):
                    item[0].insert(0, nodes.strong("", f"{number}."))
                    item[0].insert(1, nodes.Text(" "))
                    yield from item.children
            elif isinstance(node, addnodes.only) and node["expr"] == "html":  # of a figure
                yield from node.findall(figmplnode)
            elif not isinstance(node, (*LAYOUT, addnodes.only)):
                yield node

    def code(self, node):
        """Return what of the node is to run, in parts, each with whether it raises."""
        if isinstance(node, nodes.doctest_block):
            return doctest_cells(node.astext())
        # In a function, so that it leaves the names of the experiment alone.
        if isinstance(node, figmplnode):
            script = f"figures/{Path(node['uri']).stem}.py"
            return [(FIGURE.format(self.indented(script)), False)]
        if "script" in node:
            return [(ANIMATION.format(self.indented(node["script"])), False)]
        literal = next(iter(node.findall(nodes.literal_block)), None)
        source = "" if literal is None else literal.get("source", "")
        if re.search(r"course/(exercises/)?\w+\.py$", source):
            return [(Path(source).read_text("utf-8").rstrip(), False)]
        return []

    def indented(self, script):
        """Return a script as the body of a function."""
        return textwrap.indent((self.folder / script).read_text("utf-8").rstrip(), "    ")

    def caption(self, node):
        """Return what follows the code: the caption, if it is that of a figure."""
        if isinstance(node, figmplnode):
            text = " ".join(node["caption"].split())
            return re.sub(r"``(.+?)``", r"`\1`", re.sub(r":math:`(.+?)`", r"$\1$", text))
        return self.inline(next(node.findall(nodes.caption))) if "script" in node else ""

    # Markdown -------------------------------------------------------------------------------------

    def block(self, node):
        """Return a block as Markdown."""
        if isinstance(node, nodes.title):
            return f"{'#' * node.get('level', 3)} {self.inline(node)}"
        if isinstance(node, nodes.math_block):
            text = node.astext().strip()
            if "\\\\" in text and "\\begin" not in text:  # as Sphinx does
                text = f"\\begin{{aligned}}\n{text}\n\\end{{aligned}}"
            return f"$$\n{text}\n$$"
        if isinstance(node, nodes.doctest_block):
            code = "\n".join(part for part, _ in doctest_cells(node.astext()))
            return f"```python\n{code}\n```"
        if isinstance(node, nodes.literal_block):
            return f"```{node.get('language', 'python')}\n{node.astext()}\n```"
        if isinstance(node, nodes.bullet_list):
            return "\n".join(map(self.item, node))
        if isinstance(node, nodes.table):
            return self.table(node)
        if node.get("design_component") == "dropdown":
            title, *rest = node.children
            inner = "\n\n".join(map(self.block, rest))
            return f"<details><summary>{title.astext()}</summary>\n\n{inner}\n\n</details>"
        if isinstance(node, nodes.TextElement) and not isinstance(node, nodes.caption):
            return self.inline(node)
        if isinstance(node, nodes.caption):
            return f"`{node.astext()}`"
        if isinstance(node, nodes.Element):
            found = [each for each in node.children if not isinstance(each, LAYOUT)]
            return "\n\n".join(filter(None, map(self.block, found)))
        return ""

    def item(self, node):
        """Return an item of a list, its further lines indented."""
        return "- " + self.block(node).replace("\n", "\n  ")

    def table(self, node):
        """Return a table with a row of headings."""
        rows = []
        for row in node.findall(nodes.row):
            cells = [" ".join(self.block(entry).split()) for entry in row.children]
            rows.append("| " + " | ".join(cells) + " |")
        rows.insert(1, "|" + " --- |" * (rows[0].count(" | ") + 1))
        titles = map(self.inline, node.findall(nodes.title))
        return "\n".join([*(f"**{title}**\n" for title in titles), *rows])

    def inline(self, node):
        """Return the text within a block as Markdown."""
        if isinstance(node, nodes.Text):
            return re.sub(r"([*_$])", r"\\\1", node.astext().replace("\n", " "))
        if isinstance(node, nodes.math):
            return f"${' '.join(node.astext().split())}$"
        if isinstance(node, nodes.literal):
            return f"`{node.astext()}`"
        if isinstance(node, nodes.raw | nodes.system_message | nodes.target):
            return ""
        if isinstance(node, addnodes.download_reference) and node.astext() == "Source code":
            return ""
        if isinstance(node, nodes.reference) and node.get("refuri", "").endswith(".ipynb"):
            return ""
        text = "".join(map(self.inline, node.children))
        if isinstance(node, nodes.emphasis):
            return f"*{text}*"
        if isinstance(node, nodes.strong):
            return f"**{text}**"
        if isinstance(node, addnodes.pending_xref) and node.get("reftype") == "doc":
            return f"[{text}]({node['reftarget']}.ipynb)"
        if isinstance(node, nodes.reference) and "://" in node.get("refuri", ""):
            return f"[{text}]({node['refuri']})"
        return text
