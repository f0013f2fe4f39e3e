"""Texts that are put together of what some client takes for markup, for mentions, for links, or doesn't show."""

from hypothesis import strategies as st

MARKS = "[ ] ( ) ]( [x]( ![ < > ` `` ``` ~~~ * ** _ __ ~~ || \\ \\\\ | # -# >>> > - 1. : & ; \" ' { } %".split()
ADDRESSES = """
    https://evil.example http://evil.example/a(b)c <https://evil.example> [bank.example](https://evil.example)
    [https://bank.example](https://evil.example "title") [bank.example][(https://evil.example)](https://x.example)
    ``x```[bank.example](https://evil.example) [x][1] [1]:https://evil.example javascript:alert(1) [x](javascript:alert(1))
    tg://user?id=1 [x](tg://user?id=1) tg://proxy?server=e <tg://resolve?domain=x> [x](mailto:a@evil.example) a@evil.example
    [x](data:text/html,x) [x](//evil.example) [x](file:///etc/passwd) [link=https://evil.example]x[/link] ![x](https://evil.example/i)
""".split()
MENTIONS = "@everyone @here <@1> <@!1> <@&1> <#1> <:a:1> <t:1:R> </ask:1> /start @bot".split()
UNSEEN = [
    *"\u202e \u2066 \u200b \u2028 \u2029 \ufeff \u00ad \u061c \U000e0041 \U000e007f \x1b[31m \x9b \ud800 \u3164 \u115f".split(
        " "
    ),
    *"&#x202e; &#x2028; &#x200b; &#xe0041; &#27; &lrm; &ZeroWidthSpace; &lt; &amp; &#64;everyone".split(),
]
PIECES = st.one_of(
    st.sampled_from(MARKS),
    st.sampled_from(ADDRESSES),
    st.sampled_from(MENTIONS),
    st.sampled_from(UNSEEN),
    st.sampled_from(
        [" ", "\n", "\n\n", "  \n", "a", "word", "1", "|a|b|\n|-|-|\n|c|d|\n", "<b>", "</b>", "<script>", "[/b]"]
    ),
)
HOSTILE = st.lists(PIECES, max_size=14).map("".join)
