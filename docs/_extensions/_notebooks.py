"""Chapters as notebooks: code becomes cells that run, and all else becomes Markdown.

Doctest blocks become code without the printed results, which the reader's run gives. Scripts that
draw a figure, and files to work with, become cells as a whole. Excerpts of the source are quoted.
"""

import hashlib
import re

from docutils import nodes
from sphinx import addnodes

CHAPTER = re.compile(r"course/(?!index$)\w+")
LAYOUT = (nodes.comment, nodes.raw, nodes.substitution_definition, nodes.system_message)
SHOW = "\n\nfrom IPython.display import HTML\n\nHTML(animation.to_jshtml())"


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


def doctest_code(text):
    """Return the code of a doctest block."""
    lines = text.splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith((">>>", "...")))


class Chapter:
    """What turns the nodes of a chapter into text."""

    def __init__(self, path):
        self.folder = path.parent
        # Figures do not know their scripts, but stand in the order of the text.
        pattern = r"^\.\. (?:plot|animation):: (\S+)"
        self.scripts = iter(re.findall(pattern, path.read_text("utf-8"), re.M))

    def cells(self, doctree):
        """Yield the cells."""
        text = ["Needs `pip install \"skscratch[plots]\"`."]
        for node in self.flat(doctree, level=0):
            code = self.code(node)
            if code is None:
                text.append(self.block(node))
                continue
            if text:
                yield self.cell("markdown", "\n\n".join(filter(None, text)))
            text = [self.caption(node)] if isinstance(node, nodes.figure) else []
            yield self.cell("code", code)
        yield self.cell("markdown", "\n\n".join(filter(None, text)))

    def cell(self, kind, source):
        """Return a cell."""
        own = {"execution_count": None, "outputs": []} if kind == "code" else {}
        name = hashlib.sha256(source.encode()).hexdigest()[:8]
        return {"cell_type": kind, "id": name, "metadata": {}, "source": source, **own}

    def flat(self, parent, level):
        """Yield what stands in a section and in those below it, headings with their level."""
        for node in parent.children:
            if isinstance(node, nodes.section):
                yield from self.flat(node, level + 1)
            elif isinstance(node, nodes.title):
                node["level"] = level
                yield node
            elif not isinstance(node, LAYOUT):
                yield node

    def code(self, node):
        """Return the code if the node is to run, and otherwise None."""
        if isinstance(node, nodes.doctest_block):
            return doctest_code(node.astext())
        if isinstance(node, nodes.figure):
            script = next(self.scripts)
            source = (self.folder / script).read_text("utf-8").rstrip()
            return source + SHOW * ("animations/" in script)
        literal = next(iter(node.findall(nodes.literal_block)), None)
        # A dropdown's code is part of an answer.
        if literal is None or "design_component" in node or isinstance(node, nodes.list_item):
            return None
        source = literal.get("source", "")
        if isinstance(node, nodes.container) and re.search(r"course/(exercises/)?\w+\.py$", source):
            with open(source, encoding="utf-8") as file:
                return file.read().rstrip()
        return None

    def caption(self, node):
        """Return the caption of a figure."""
        return " ".join(self.inline(each) for each in node.findall(nodes.caption))

    # Markdown -------------------------------------------------------------------------------------

    def block(self, node):
        """Return a block as Markdown."""
        if isinstance(node, nodes.title):
            return f"{'#' * node.get('level', 3)} {self.inline(node)}"
        if isinstance(node, nodes.math_block):
            text = node.astext()
            aligned = "\\\\" in text or "&" in text
            env = "aligned" if aligned and "\\begin" not in text else ""
            if env:
                text = f"\\begin{{{env}}}\n{text}\n\\end{{{env}}}"
            return f"$$\n{text}\n$$"
        if isinstance(node, nodes.doctest_block):
            return f"```python\n{doctest_code(node.astext())}\n```"
        if isinstance(node, nodes.literal_block):
            return f"```python\n{node.astext()}\n```"
        if isinstance(node, nodes.bullet_list | nodes.enumerated_list):
            first = node.get("start", 1)
            marks = [f"{first + i}." for i in range(len(node))]
            if isinstance(node, nodes.bullet_list):
                marks = ["-"] * len(node)
            return "\n".join(self.item(*each) for each in zip(marks, node, strict=True))
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

    def item(self, mark, node):
        """Return an item of a list, its further lines indented."""
        lines = self.block(node).split("\n")
        indent = " " * (len(mark) + 1)
        return "\n".join([f"{mark} {lines[0]}", *(indent * bool(each) + each for each in lines[1:])])

    def table(self, node):
        """Return a table with a row of headings."""
        rows = []
        for row in node.findall(nodes.row):
            cells = [" ".join(self.block(entry).split()) for entry in row.children]
            rows.append("| " + " | ".join(cells) + " |")
        rows.insert(1, "|" + " --- |" * (rows[0].count(" | ") + 1))
        titles = [f"**{self.inline(each)}**\n" for each in node.children if isinstance(each, nodes.title)]
        return "\n".join([*titles, *rows])

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
