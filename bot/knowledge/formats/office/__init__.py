"""DOCX, PPTX and spreadsheets, with shared modules for equations, drawings and number formats."""
