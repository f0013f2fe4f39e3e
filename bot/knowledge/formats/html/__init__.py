"""HTML: the content of a page without the frame around it; also that of chapters and of HTML within Markdown."""
