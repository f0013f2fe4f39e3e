"""Everything that runs a model. Only this package imports torch and the Hugging Face libraries, on first use."""
