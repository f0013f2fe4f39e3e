"""Writers of exports as the real programs make them: their archives, names of files, and the markup of their pages."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

A, B, C, D = (letter * 32 for letter in "abcd")
"""Identities of pages of Notion."""


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def notion_files() -> dict[str, str | bytes]:
    """A page with a page, a picture, a callout and a database below it."""
    home, task = f"Home {A}.md", f"Home/Tasks/Fix the pump {C}.md"
    return {
        home: (
            "# Home\n\nStart with [Setup: first steps](Home/Setup%20first%20steps%20"
            + B
            + f".md) or [the board](Home/Tasks%20{D}.csv).\n\n"
            "![image.png](Home/image.png)\n\n![The valve is red.](Home/valve.png)\n\n"
            "<aside>\n💡 **Never** open the valve while the pump runs.\n\n</aside>\n\n"
            f"```\n[kept](Home/Setup%20first%20steps%20{B}.md)\n```\n\n"
            f"See [Notion](https://www.notion.so/Setup-first-steps-{B}?pvs=21) and [elsewhere](https://example.org/a_(b)).\n"
        ),
        f"Home/Setup first steps {B}.md": (
            "# Setup: first steps\n\nOwner: Anna\nStatus: Done\n\nHold the button for ten seconds.\n"
        ),
        f"Home/Tasks {D}.csv": "Name,Where\nFix the pump,Cellar\n",
        f"Home/Tasks {D}_all.csv": (
            "Name,Where,Manual\n"
            f'Fix the pump,Cellar,"Setup: first steps (Setup%20first%20steps%20{B}.md)"\nPaint (twice),Roof,\n'
        ),
        task: (
            "# Fix the pump\n\nWhere: Cellar\n"
            f"Manual: Setup: first steps (../Setup%20first%20steps%20{B}.md)\n\nUse a wrench.\n"
        ),
        "Home/image.png": b"\x89PNG",
        "Home/manual.pdf": b"%PDF-1.4 no more",
    }


def notion(*parts: Mapping[str, str | bytes]) -> bytes:
    """The archive that Notion sends: with the archives of the parts in it."""
    return zipped(
        {f"Export-0b5e7d0c-1111-2222-3333-444455556666-Part-{n}.zip": zipped(part) for n, part in enumerate(parts, 1)}
    )


CONFLUENCE_PAGE = """<!DOCTYPE html>
<html>
    <head>
        <title>Harbour : {title}</title>
        <link rel="stylesheet" href="styles/site.css" type="text/css" />
        <META http-equiv="Content-Type" content="text/html; charset=UTF-8">
    </head>
    <body class="theme-default aui-theme-default">
        <div id="page">
            <div id="main" class="aui-page-panel">
                <div id="main-header">
                    <div id="breadcrumb-section">
                        <ol id="breadcrumbs">
                            <li class="first"><span><a href="index.html">Harbour</a></span></li>
                            <li><span><a href="Harbour-Home_98310.html">Harbour Home</a></span></li>
                        </ol>
                    </div>
                    <h1 id="title-heading" class="pagetitle"><span id="title-text">Harbour : {title}</span></h1>
                </div>
                <div id="content" class="view">
                    <div class="page-metadata">
                        Created by <span class='author'> Timothy Harvey</span>, last modified on Sep 20, 2019
                    </div>
                    <div id="main-content" class="wiki-content group">{content}</div>
                    <div class="pageSection group">
                        <div class="pageSectionHeader">
                            <h2 id="attachments" class="pageSectionTitle">Attachments:</h2>
                        </div>
                        <div class="greybox" align="left">
                            <img src="images/icons/bullet_blue.gif" height="8" width="8" alt=""/>
                            <a href="attachments/98312/98320.csv">Berth fees.csv</a> (text/csv)
                            <br/>
                        </div>
                    </div>
                    <div class="pageSection group">
                        <div class="pageSectionHeader">
                            <h2 id="comments" class="pageSectionTitle">Comments:</h2>
                        </div>
                        <table border="0" width="100%">
                            <tr>
                                <td >
                                    <a name="comment-118139860"></a>
                                    <font class="smallfont"><p>I believe the crane lifts ninety tons.</p></font>
                                    <div align="left" class="smallfont" style="color: #666666; width: 98%;">
                                        <img src="images/icons/contenttypes/comment_16.png" height="16" width="16" border="0"/>
                                        Posted by a0866938 at May 24, 2018 15:20
                                    </div>
                                </td>
                            </tr>
                        </table>
                    </div>
                </div>
            </div>
            <div id="footer" role="contentinfo">
                <section class="footer-body">
                    <p>Document generated by Confluence on Feb 04, 2020 06:25</p>
                    <div id="footer-logo"><a href="http://www.atlassian.com/">Atlassian</a></div>
                </section>
            </div>
        </div>
    </body>
</html>
"""


def confluence() -> bytes:
    """A space of three pages with an attachment."""
    page = (
        CONFLUENCE_PAGE.replace("{", "{{")
        .replace("}", "}}")
        .replace("{{title}}", "{title}")
        .replace("{{content}}", "{content}")
    )
    crane = (
        '<p>The crane lifts forty tons. See <a href="Berth-Fees_98312.html#BerthFees-Large">the fees</a>, '
        '<a href="98313.html">Öffnung</a> and <a href="https://example.org/">the port</a>.</p>'
        '<div class="confluence-information-macro confluence-information-macro-warning"><p class="title">Storm</p>'
        '<span class="aui-icon aui-icon-small aui-iconfont-error confluence-information-macro-icon"></span>'
        '<div class="confluence-information-macro-body"><p>Lower the boom in a storm.</p></div></div>'
    )
    fees = (
        '<div class="table-wrap"><table class="wrapped confluenceTable"><tbody>'
        '<tr><th class="confluenceTh">Ship</th><th class="confluenceTh">Fee</th></tr>'
        '<tr><td class="confluenceTd">Small</td><td class="confluenceTd">20 €</td></tr></tbody></table></div>'
    )
    return zipped(
        {
            "HAR/index.html": "<html><head><title>Harbour</title></head><body><h2>Space Details:</h2>"
            '<ul><li><a href="Harbour-Home_98310.html">Harbour Home</a></li></ul></body></html>',
            "HAR/Harbour-Home_98310.html": page.format(title="Harbour Home", content=crane),
            "HAR/Berth-Fees_98312.html": page.format(title="Berth Fees &amp; Taxes", content=fees),
            "HAR/98313.html": page.format(title="Öffnung", content="<p>Der Hafen öffnet um neun Uhr.</p>"),
            "HAR/attachments/98312/98320.csv": "Ship,Winter fee\nSmall,10 €\n",
            "HAR/styles/site.css": "body {}",
            "HAR/images/icons/bullet_blue.gif": b"GIF89a",
        }
    )


GOOGLE_PAGE = """<html><head><meta content="text/html; charset=UTF-8" http-equiv="content-type"><style>ul.lst-kix_q1-0{
list-style-type:none}.c3{color:#000000}</style></head><body class="c8 doc-content">
<p class="c4 title" id="h.x"><span class="c9">Guest guide</span></p>
<h1 class="c5" id="h.y"><span class="c1">Wi-Fi</span></h1>
<p class="c0"><span class="c3">The password is on </span><span class="c6"><a class="c7"
href="https://www.google.com/url?q=https://example.org/wifi%3Fa%3D1&amp;sa=D&amp;source=editors&amp;ust=17785&amp;usg=AOvVaw3">this
page</a></span><span class="c3">.</span><sup><a href="#cmnt1" id="cmnt_ref1">[a]</a></sup></p>
<ol class="c2 lst-kix_q1-0 start" start="1"><li class="c0 li-bullet-0"><span class="c3">Open the lid</span></li></ol>
<ul class="c2 lst-kix_q1-1 start"><li class="c0 li-bullet-0"><span class="c3">with the key</span></li></ul>
<ol class="c2 lst-kix_q1-0" start="2"><li class="c0 li-bullet-0"><span class="c3">Press reset</span></li></ol>
<div class="c9"><p class="c0"><a href="#cmnt_ref1" id="cmnt1">[a]</a><span class="c3">Is this still true? Bob</span></p></div>
</body></html>"""


def message(number: int, author: str, text: Any, **more: Any) -> dict[str, Any]:
    """A message as Telegram Desktop writes it."""
    return {
        "id": number,
        "type": "message",
        "date": "2024-05-01T10:00:00",
        "date_unixtime": "1714557600",
        "from": author.title(),
        "from_id": author,
        "text": text,
        "text_entities": [],
    } | more


def telegram(messages: list[dict[str, Any]], **chat: Any) -> str:
    return json.dumps(
        {"name": "Pump Support", "type": "public_supergroup", "id": 1234567890, "messages": messages} | chat,
        ensure_ascii=False,
        indent=1,
    )
