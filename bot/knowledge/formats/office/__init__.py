"""DOCX, PPTX and spreadsheets, with the parts that they share: equations, drawings and number formats."""
