"""Reading of pages in tests."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """A parser that collects tags, attributes, and the text outside of scripts."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.loads = []
        self.scripts = []
        self.text = ""
        self._skipped = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.loads += [found[name] for name in ("src", "href", "srcset", "data") if name in found]
        if tag in {"script", "style"}:
            self._skipped = tag
            self.scripts.append((found, ""))

    def handle_endtag(self, tag):
        if tag == self._skipped:
            self._skipped = ""

    def handle_data(self, data):
        if self._skipped:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        else:
            self.text += data

    def count(self, tag, **wanted):
        return sum(
            it == tag and all(attrs.get(name) == value for name, value in wanted.items())
            for it, attrs in self.tags
        )
