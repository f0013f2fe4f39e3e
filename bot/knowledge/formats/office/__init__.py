"""DOCX, PPTX and spreadsheets, with what they have in common: equations, drawings and number formats."""
