"""PDF: pages -> lines -> reading order -> tables and blocks."""
