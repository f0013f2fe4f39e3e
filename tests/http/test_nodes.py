"""Texts as elements of a page."""

from bot.core.markup import Markup, Piece
from bot.http.nodes import html_of, nodes_of


def test_no_text_of_a_document_becomes_markup():
    text = (
        "<img src=x onerror=alert(1)> **b** [x](javascript:alert) [y](https://a.example) ![z](https://b.example/i.png)"
    )
    [shown] = nodes_of([Piece(text)])
    assert shown["tag"] == "p"
    assert "<img src=x onerror=alert(1)> " in shown["children"]
    assert {"tag": "strong", "children": ["b"]} in shown["children"]
    assert [child["href"] for child in shown["children"] if isinstance(child, dict) and "href" in child] == [
        "https://a.example"
    ]
    assert "z" in shown["children"]


def test_each_markup_is_shown_as_it_is_meant():
    assert nodes_of([Piece("a *b*\nc", Markup.PLAIN, (2, 5))]) == [
        {"tag": "plain", "children": ["a ", {"tag": "strong", "children": ["*b*"]}, "\nc"]}
    ]
    assert nodes_of([Piece("x = `1`", Markup.CODE)]) == [{"tag": "pre", "children": ["x = `1`"]}]
    [shown] = nodes_of([Piece("| a | b |\n|---|---|\n| `1` | 2 |")])
    assert (shown["tag"], [part["tag"] for part in shown["children"]]) == ("table", ["thead", "tbody"])
    assert nodes_of([Piece("- one\n- two")]) == [
        {"tag": "ul", "children": [{"tag": "li", "children": ["one"]}, {"tag": "li", "children": ["two"]}]}
    ]


def test_html_holds_texts_and_addresses_escaped():
    markdown = """[l](https://a.example/"onclick="x) `<b>` <script>alert(1)</script> [x](javascript:alert)

| a |
|---|
| <i>1</i> |

---
"""
    html = html_of([Piece(markdown), Piece("<u>", Markup.CODE), Piece("*<s>* `<q>`", Markup.LITERALS)])
    assert html == (
        '<p><a href="https://a.example/%22onclick=%22x" rel="noopener noreferrer">l</a> <code>&lt;b&gt;</code> '
        "&lt;script&gt;alert(1)&lt;/script&gt; [x](javascript:alert)</p>"
        '<div class="wide" tabindex="0"><table><thead><tr><th>a</th></tr></thead>'
        "<tbody><tr><td>&lt;i&gt;1&lt;/i&gt;</td></tr></tbody></table></div><hr>"
        '<pre tabindex="0">&lt;u&gt;</pre><p class="plain">*&lt;s&gt;* <code>&lt;q&gt;</code></p>'
    )
