"""Markdown of documentation generators: the text in an admonition, a tab or a component is ordinary text."""

import pytest

from bot.core.documents import Form
from bot.knowledge.formats.markup.directives import without_directives
from bot.knowledge.formats.markup.markdown import load


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("!!! note\n    Feed it.\n\n    Daily.\nAfter.", "**Note**\nFeed it.\n\nDaily.\nAfter."),
        ('??? tip "How to feed"\n    - hay\n', "**How to feed**\n- hay\n"),
        (
            '=== "Linux"\n\n    ```sh\n    feed\n    ```\n\n=== "macOS"\n    feed',
            "**Linux**\n\n```sh\nfeed\n```\n\n**macOS**\nfeed",
        ),
        ('!!! note\n    === "A"\n        deep', "**Note**\n**A**\ndeep"),
        ("1. step\n\n    !!! warning\n        hot", "1. step\n\n    **Warning**\n    hot"),
        ("!!! note\n\tFeed it.", "**Note**\nFeed it."),
        (":::caution[Wild animals]\nFeed.\n:::", "**Wild animals**\nFeed.\n"),
        (":::note\nFeed.\n:::", "**Note**\nFeed.\n"),
        ("::: tip Feeding\nFeed.\n:::", "**Feeding**\nFeed.\n"),
        ("::::tabs\nFeed.\n::::", "\nFeed.\n"),
        ("> [!WARNING]\n> Hot.", "> **Warning**\n> Hot."),
        ('<Tabs>\n<TabItem value="a" label="npm">\nfeed\n</TabItem>\n</Tabs>', "\n**npm**\nfeed\n\n"),
        ('import Tabs from "@theme/Tabs";\n\nFeed.', "\n\nFeed."),
        ('--8<-- "docs/feed.md"\nFeed.', "\nFeed."),
        ("{{< toc >}}\nFeed.\n{: .wide}", "\nFeed.\n"),
        ('Ask in {% slack_channel "zoo" %} first.\n{% include "a.html" %}', "Ask in zoo first.\n"),
        ("{% if beta %}\nFeed.\n{% endif %}", "\nFeed.\n"),
        ("```{tip} Feeding\n:class: wide\nFeed.\n```\nAfter.", "**Feeding**\n\nFeed.\n\nAfter."),
        ("````{note}\n```sh\nfeed\n```\n````", "**Note**\n```sh\nfeed\n```\n"),
        (":::{warning} Hot\nFeed.\n:::", "**Hot**\nFeed.\n"),
        ('<Steps>\n    <Step title="One">\n        Feed.\n    </Step>\n</Steps>', "\n**One**\nFeed.\n\n"),
        ('<Card\n  icon="hay"\n  title="Feeding"\n>\n  Feed.\n</Card>', "**Feeding**\n\n\n\nFeed.\n"),
        ("import {\n  Tabs,\n} from '@theme';\n\nFeed.", "\n\n\n\nFeed."),
        ("export const hay = {\n  kilos: 3,\n};\nFeed.", "\n\n\nFeed."),
        ("{/* one */}\n{/* two\nlines */}\nFeed.", "\n\n\nFeed."),
        ("%%\nnot for readers\n%%\nFeed %%daily%% now.", "\n\n\nFeed  now."),
        ("See [[Zoo/Hay#Storing|the barn]], [[Hay]] and [[#Water]].", "See the barn, Hay and Water."),
        ("Feed ==only== hay. ^a1b2c3\n![[hay.png]]", "Feed **only** hay.\n"),
        ("## Hay {#hay .wide}\n[Order](x.md){ .md-button } it.", "## Hay\n[Order](x.md) it."),
        ("[[toc]]\n[TOC]\n<<< @/feed.js\nFeed.", "\n\n\nFeed."),
    ],
)
def test_directives_become_plain_markdown(written, plain):
    """Line by line."""
    assert without_directives(written) == plain


@pytest.mark.parametrize(
    "text",
    [
        "```\n!!! note\n    x\n:::tip\n<Tabs>\n{% if a %}\n```",
        "~~~~\n```\n:::note\n~~~~",
        "!!! stop\nNothing is indented here.",
        "Feed it!!! note: now",
        "A <name> and <https://a.example> and 3 ::: 4",
        "import your data from the zoo",
        'Import animals from "zoo.csv"',
        "export default settings before you leave",
        "{/* never ended",
        "%% never ended",
        "if a == b and c == d",
        "`[[x]]` and `==y==`",
        "```{code-block} python\nfeed()\n```",
        "[[ -f hay ]]",
        "Write `{% if beta %}` around it, or ``{% `x` %}``",
        "<div>\nHTML is left to the parser\n</div>",
    ],
)
def test_what_is_no_directive_stays(text):
    """Code most of all."""
    assert without_directives(text) == text


def test_what_an_admonition_holds_is_read_with_the_lines_of_the_file():
    """A list in it is a list, code is code, and none of it is taken for code because it is indented."""
    text = (
        '# Zoo\n\n!!! tip "Feeding"\n\n    Do this:\n\n    1. Open the gate.\n'
        "    2. Throw hay.\n\n    ```sh\n    feed --all\n    ```\n\nAfter.\n"
    )
    blocks = load("zoo.md", text.encode()).blocks
    assert [(block.form, block.text, block.locator.lines) for block in blocks] == [
        (Form.PARAGRAPH, "**Feeding**", (3, 3)),
        (Form.PARAGRAPH, "Do this:", (5, 5)),
        (Form.LIST, "1. Open the gate.\n2. Throw hay.", (7, 8)),
        (Form.CODE, "```sh\nfeed --all\n```", (10, 12)),
        (Form.PARAGRAPH, "After.", (14, 14)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "!!! a\n" * 3000,
        "<A " * 20_000,
        "{% " * 20_000,
        ":::a[" * 20_000,
        "!!! n\n" + "    " * 20_000 + "x",
        "==a " * 20_000,
        "[[a|" * 20_000,
        "<A>\n" * 20_000,
        "<A\n" * 20_000,
        "{/*\n" * 20_000,
        "```{note}\n" * 10_000,
    ],
)
def test_hostile_text_takes_no_time(text):
    assert without_directives(text).count("\n") == text.count("\n")
