"""Check a built site: its internal links lead somewhere, and it loads nothing from the network.

    python docs/check_links.py docs/_build/html

Links to other websites are not followed.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to and loads, and the anchors it has."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), set(), set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note what the tag names."""
        attrs = {name: value or "" for name, value in attrs}
        self.anchors |= {attrs[name] for name in ("id", "name") if name in attrs}
        if tag == "a" and "href" in attrs:
            self.links.add(attrs["href"])
        if tag in ("img", "script", "iframe") and "src" in attrs:
            self.loaded.add(attrs["src"])
        if tag == "link" and attrs.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.add(attrs["href"])


def find_faults(root):
    """Return a line for each link or resource of a page under ``root`` that is at fault."""
    root = root.resolve()
    paths = sorted(root.rglob("*.html"))
    pages = {path: Page(path) for path in paths if "_static" not in path.parts}
    if not pages:
        return [f"{root} has no pages"]
    faults = []
    for path, page in pages.items():
        where = path.relative_to(root)
        for url in sorted(page.loaded | page.links):
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                if url in page.loaded and parts.scheme != "data":
                    faults.append(f"{where} loads {url}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file():
                faults.append(f"{where} links to {url}, which is missing")
            elif parts.fragment and unquote(parts.fragment) not in anchors:
                faults.append(f"{where} links to {url}, which has no such anchor")
    return faults


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = find_faults(Path(sys.argv[1]))
    print(*found, sep="\n")
    sys.exit(f"{len(found)} faults" if found else 0)
